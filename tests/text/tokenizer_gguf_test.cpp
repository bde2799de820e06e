// tokenizer.ggml.* metadata: defaults, ids that mean "none", and files that lie.
#include "elms/detail/gguf.hpp"
#include "vocab_files.hpp"

using elms::StatusCode;
using elms::detail::GgufFile;
using elms::detail::GgufWriter;
using elms_test::Ids;
using elms_test::TokenizerPtr;
using Texts = std::vector<std::string_view>;

namespace {

constexpr std::int32_t kNormalToken = 1, kUnknownToken = 2, kControlToken = 3, kByteToken = 6;

/// A GGUF without tensors; `fill` sets its metadata.
GgufFile write_gguf(const std::function<void(GgufWriter&)>& fill) {
  const std::string path = elms_test::scratch_path("tokenizer.gguf");
  GgufWriter writer;
  writer.set("general.architecture", "llama");
  fill(writer);
  REQUIRE_OK(writer.begin(path));
  REQUIRE_OK(writer.finish());
  auto file = GgufFile::open(path);
  REQUIRE_OK(file);
  return std::move(*file);
}

elms::Result<TokenizerPtr> open(const std::function<void(GgufWriter&)>& fill) {
  return elms::Tokenizer::from_gguf(write_gguf(fill));
}

void set_strings(GgufWriter& writer, std::string_view key, const Texts& texts) {
  writer.set(key, std::span(texts));
}

void set_llama(GgufWriter& writer) {
  writer.set("tokenizer.ggml.model", "llama");
  set_strings(writer, "tokenizer.ggml.tokens",
              {"<unk>", "<s>", "</s>", "<0x41>", "▁", "a", "b", "ab", "▁a", "▁ab", "</s"});
  writer.set("tokenizer.ggml.scores",
             std::span<const float>(std::vector<float>{0, 0, 0, 0, -9, -9, -9, -1, -2, -3, -1}));
  writer.set("tokenizer.ggml.token_type", std::span<const std::int32_t>(std::vector<std::int32_t>{
                                              kUnknownToken, kControlToken, kControlToken, kByteToken, kNormalToken, kNormalToken, kNormalToken,
                                              kNormalToken, kNormalToken, kNormalToken, kNormalToken}));
}

void set_gpt2(GgufWriter& writer, const char* pre = "gpt-2") {
  writer.set("tokenizer.ggml.model", "gpt2");
  if (pre != nullptr) writer.set("tokenizer.ggml.pre", pre);
  set_strings(writer, "tokenizer.ggml.tokens", {"a", "b", "ab", "Ġ", "Ġab", "<|end|>", "abab"});
  set_strings(writer, "tokenizer.ggml.merges", {"a b", "Ġ ab"});
}

void set_bert(GgufWriter& writer) {
  writer.set("tokenizer.ggml.model", "bert");
  set_strings(writer, "tokenizer.ggml.tokens",
              {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "▁play", "ing", "▁,", "▁é"});
  writer.set("tokenizer.ggml.unknown_token_id", 1u);
  writer.set("tokenizer.ggml.cls_token_id", 2u);
  writer.set("tokenizer.ggml.seperator_token_id", 3u);
}

/// Both kinds of error name the file and the key.
void check_error(const std::function<void(GgufWriter&)>& fill, StatusCode code, const std::string& key) {
  const auto tokenizer = open(fill);
  INFO(tokenizer.error().message());
  REQUIRE_FALSE(tokenizer.has_value());
  CHECK(tokenizer.error().code() == code);
  CHECK(tokenizer.error().message().find(key) != std::string::npos);
  CHECK(tokenizer.error().message().find("tokenizer.gguf") != std::string::npos);
}

}  // namespace

TEST_CASE("a llama vocabulary merges by score and falls back to bytes", "[text][gguf]") {
  const auto tokenizer = open(set_llama);
  REQUIRE_OK(tokenizer);
  CHECK((*tokenizer)->encode("ab") == Ids{1, 9});  // "ab" first, then "▁ab"
  CHECK((*tokenizer)->encode("a b") == Ids{1, 8, 4, 6});
  CHECK((*tokenizer)->encode("A") == Ids{1, 4, 3});
  CHECK((*tokenizer)->encode("Z") == Ids{1, 4, 0});  // no byte token either
  CHECK((*tokenizer)->encode("") == Ids{1});
  CHECK((*tokenizer)->encode("", {.add_special = false}).empty());
  CHECK((*tokenizer)->decode(Ids{1, 9, 4, 3}) == "ab A");
}

TEST_CASE("a llama vocabulary may do without the leading space", "[text][gguf]") {
  const auto tokenizer = open([](GgufWriter& writer) {
    set_llama(writer);
    writer.set("tokenizer.ggml.add_space_prefix", false);
    writer.set("tokenizer.ggml.add_bos_token", false);
    writer.set("tokenizer.ggml.add_eos_token", true);
  });
  REQUIRE_OK(tokenizer);
  CHECK((*tokenizer)->encode("ab") == Ids{7, 2});
  CHECK((*tokenizer)->decode(Ids{8}) == " a");
}

TEST_CASE("an id of -1 means that there is no such token", "[text][gguf]") {
  const auto tokenizer = open([](GgufWriter& writer) {
    set_llama(writer);
    writer.set("tokenizer.ggml.bos_token_id", 0xFFFFFFFFu);
    writer.set("tokenizer.ggml.eos_token_id", std::int32_t{-1});
    writer.set("tokenizer.ggml.padding_token_id", 0xFFFFFFFFu);
  });
  REQUIRE_OK(tokenizer);
  CHECK((*tokenizer)->bos() == elms::kNoToken);
  CHECK((*tokenizer)->eos() == elms::kNoToken);
  CHECK((*tokenizer)->encode("ab") == Ids{9});
}

TEST_CASE("without token types they are told by text and id", "[text][gguf]") {
  const auto tokenizer = open([](GgufWriter& writer) {
    set_llama(writer);
    writer.erase("tokenizer.ggml.token_type");
    writer.erase("tokenizer.ggml.scores");
  });
  REQUIRE_OK(tokenizer);
  CHECK((*tokenizer)->is_control(1));
  CHECK((*tokenizer)->is_control(2));
  CHECK((*tokenizer)->token_bytes(3) == "A");
}

TEST_CASE("a gpt2 vocabulary merges by rank", "[text][gguf]") {
  const auto tokenizer = open([](GgufWriter& writer) { set_gpt2(writer); });
  REQUIRE_OK(tokenizer);
  CHECK((*tokenizer)->encode("ab ab") == Ids{2, 4});
  CHECK((*tokenizer)->encode("abab") == Ids{2, 2});
  CHECK((*tokenizer)->encode("abz") == Ids{2});  // a byte that the vocabulary lacks
  CHECK((*tokenizer)->bos() == elms::kNoToken);
  CHECK((*tokenizer)->is_end_of_generation(5));
  CHECK((*tokenizer)->is_control(5));
}

TEST_CASE("llama3's pre-tokenizer ignores merges for whole words and adds BOS", "[text][gguf]") {
  const auto tokenizer = open([](GgufWriter& writer) {
    set_gpt2(writer, "llama-bpe");
    writer.set("tokenizer.ggml.bos_token_id", 5u);
  });
  REQUIRE_OK(tokenizer);
  CHECK((*tokenizer)->encode("abab") == Ids{5, 6});
}

TEST_CASE("a gpt2 vocabulary without a pre-tokenizer has the default one", "[text][gguf]") {
  const auto tokenizer = open([](GgufWriter& writer) { set_gpt2(writer, nullptr); });
  REQUIRE_OK(tokenizer);
  CHECK((*tokenizer)->encode("ab") == Ids{2});
}

TEST_CASE("a bert vocabulary marks the beginnings of words", "[text][gguf]") {
  const auto tokenizer = open(set_bert);
  REQUIRE_OK(tokenizer);
  CHECK((*tokenizer)->encode("Playing, ing") == Ids{2, 4, 5, 6, 1, 3});
  CHECK((*tokenizer)->encode("é", {.add_special = false}) == Ids{1});  // accents are stripped
  CHECK((*tokenizer)->decode(Ids{2, 4, 5, 6, 4, 3}) == "playing, play");
  CHECK((*tokenizer)->decode(Ids{2, 4, 3}, true) == "[CLS] play [SEP]");
  CHECK((*tokenizer)->bos() == 2);
  CHECK((*tokenizer)->eos() == 3);
  const auto cased = open([](GgufWriter& writer) {
    set_bert(writer);
    writer.set("tokenizer.ggml.normalizer.lowercase", false);
  });
  REQUIRE_OK(cased);
  CHECK((*cased)->encode("Play é", {.add_special = false}) == Ids{1, 7});
}

TEST_CASE("merges of tokens that do not exist", "[text][gguf]") {
  const auto harmless = open([](GgufWriter& writer) {
    set_gpt2(writer);
    set_strings(writer, "tokenizer.ggml.merges", {"x y", "a b"});
  });
  REQUIRE_OK(harmless);
  CHECK((*harmless)->encode("ab") == Ids{2});
  check_error(
      [](GgufWriter& writer) {
        set_gpt2(writer);
        set_strings(writer, "tokenizer.ggml.merges", {"b a"});
      },
      StatusCode::kMalformedFile, "tokenizer.ggml.merges");
}

TEST_CASE("tokenizer metadata that is unknown or wrong is refused by key", "[text][gguf]") {
  check_error([](GgufWriter&) {}, StatusCode::kNotFound, "tokenizer.ggml.model");
  check_error([](GgufWriter& w) { w.set("tokenizer.ggml.model", 7u); }, StatusCode::kMalformedFile,
              "tokenizer.ggml.model");
  check_error([](GgufWriter& w) { w.set("tokenizer.ggml.model", "t5"); }, StatusCode::kUnsupported, "'t5'");
  check_error([](GgufWriter& w) { w.set("tokenizer.ggml.model", "gpt2"); }, StatusCode::kMalformedFile,
              "tokenizer.ggml.tokens");
  check_error([](GgufWriter& w) { set_gpt2(w, "tekken"); }, StatusCode::kUnsupported, "'tekken'");
  const auto llama_with = [](const std::function<void(GgufWriter&)>& change) {
    return [change](GgufWriter& writer) {
      set_llama(writer);
      change(writer);
    };
  };
  const std::vector<float> two_scores = {1, 2};
  const std::vector<std::int32_t> two_types = {1, 1};
  check_error(llama_with([&](GgufWriter& w) { w.set("tokenizer.ggml.scores", std::span(two_scores)); }),
              StatusCode::kMalformedFile, "tokenizer.ggml.scores");
  check_error(llama_with([&](GgufWriter& w) { w.set("tokenizer.ggml.token_type", std::span(two_types)); }),
              StatusCode::kMalformedFile, "tokenizer.ggml.token_type");
  check_error(llama_with([](GgufWriter& w) { w.set("tokenizer.ggml.bos_token_id", 11u); }),
              StatusCode::kMalformedFile, "tokenizer.ggml.bos_token_id");
  check_error(llama_with([](GgufWriter& w) { w.set("tokenizer.ggml.eos_token_id", "2"); }),
              StatusCode::kMalformedFile, "tokenizer.ggml.eos_token_id");
  check_error(llama_with([](GgufWriter& w) {
                set_strings(w, "tokenizer.ggml.tokens", {"a", "a"});
              }),
              StatusCode::kMalformedFile, "twice");
  check_error(llama_with([](GgufWriter& w) { set_strings(w, "tokenizer.ggml.tokens", {}); }),
              StatusCode::kMalformedFile, "tokenizer.ggml.tokens");
  check_error(llama_with([](GgufWriter& w) {
                w.set("tokenizer.ggml.eos_token_id", 0xFFFFFFFFu);
                w.set("tokenizer.ggml.add_eos_token", true);
              }),
              StatusCode::kMalformedFile, "tokenizer.ggml.add_eos_token");
  check_error(
      [](GgufWriter& w) {
        set_gpt2(w);
        w.erase("tokenizer.ggml.merges");
      },
      StatusCode::kMalformedFile, "tokenizer.ggml.merges");
  check_error(
      [](GgufWriter& w) {
        set_gpt2(w);
        set_strings(w, "tokenizer.ggml.merges", {"ab"});
      },
      StatusCode::kMalformedFile, "tokenizer.ggml.merges[0]");
}

TEST_CASE("scores that are not numbers are refused", "[text][gguf]") {
  std::vector<float> scores(11, 0.0f);
  scores[4] = std::numeric_limits<float>::quiet_NaN();
  check_error(
      [&](GgufWriter& writer) {
        set_llama(writer);
        writer.set("tokenizer.ggml.scores", std::span<const float>(scores));
      },
      StatusCode::kMalformedFile, "tokenizer.ggml.scores");
}
