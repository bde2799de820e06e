// From text to tokens and back, at once and token by token.
#include <atomic>
#include <thread>

#include "text/unicode.hpp"
#include "vocab_files.hpp"

using elms::StreamDecoder;
using elms_test::Ids;
using elms_test::TokenizerPtr;

namespace {

struct Named {
  std::string name;
  TokenizerPtr tokenizer;
};

/// All reference vocabularies; those that cannot give back every text are left out unless asked for.
std::vector<Named> all_tokenizers(bool also_lossy) {
  std::vector<Named> all;
  for (const char* name : {"llama-spm", "phi-3", "gpt-2", "deepseek-coder"}) {
    all.push_back(
        {name, elms_test::open_gguf_tokenizer(elms_test::shared_dir() + "/tokenizers/ggml-vocab/ggml-vocab-" +
                                              name + ".gguf")});
  }
  all.push_back({"llama3 json", elms_test::write_and_open("llama3", elms_test::llama3_json())});
  all.push_back({"llama2 json",
                 elms_test::write_and_open(
                     "llama2", elms_test::llama2_json(elms_test::shared_dir() +
                                                      "/tokenizers/ggml-vocab/ggml-vocab-llama-spm.gguf"))});
  if (also_lossy) {
    all.push_back(
        {"bert-bge", elms_test::open_gguf_tokenizer(elms_test::shared_dir() +
                                                    "/tokenizers/ggml-vocab/ggml-vocab-bert-bge.gguf")});
    all.push_back(
        {"minilm json", elms_test::open_json_tokenizer(elms_test::shared_dir() +
                                                       "/encoders/all-MiniLM-L6-v2-tokenizer.json")});
  }
  return all;
}

bool is_well_formed(const std::string& text) {
  std::string copy;
  elms::detail::append_well_formed(copy, text);
  return copy == text;
}

std::string random_bytes(std::mt19937& rng) {
  std::string text = elms_test::random_text(rng, rng() % 8);
  for (int n = static_cast<int>(rng() % 6); n > 0; --n) {
    text.insert(text.begin() + static_cast<std::ptrdiff_t>(rng() % (text.size() + 1)),
                static_cast<char>(rng()));
  }
  return text;
}

}  // namespace

TEST_CASE("decode gives back what encode took", "[text]") {
  ELMS_REQUIRE_SHARED(folder, "tokenizers/ggml-vocab");
  auto rng = elms_test::make_rng(7);
  for (const auto& [name, tokenizer] : all_tokenizers(false)) {
    for (int round = 0; round < 1500; ++round) {
      const std::string text = elms_test::random_text(rng, rng() % 12);
      // SentencePiece cannot tell U+2581 from a space.
      if (tokenizer->model() == "llama" && text.find("▁") != text.npos) continue;
      INFO(name << ": '" << text << "'");
      const Ids ids = tokenizer->encode(text, {.add_special = round % 2 == 0});
      REQUIRE(tokenizer->decode(ids) == text);
    }
  }
}

TEST_CASE("token by token gives the same text, whole characters at a time", "[text]") {
  ELMS_REQUIRE_SHARED(folder, "tokenizers/ggml-vocab");
  auto rng = elms_test::make_rng(8);
  for (const auto& [name, tokenizer] : all_tokenizers(true)) {
    for (int round = 0; round < 600; ++round) {
      Ids ids = tokenizer->encode(elms_test::random_text(rng, rng() % 12));
      if (round % 3 == 0) {  // what a bad model may say
        for (int n = 0; n < 8; ++n)
          ids.push_back(static_cast<elms::TokenId>(rng() % (tokenizer->n_vocab() + 2)) - 1);
      }
      const bool special = rng() % 2 == 0;
      StreamDecoder stream(*tokenizer, special);
      std::string text;
      for (const elms::TokenId id : ids) {
        const std::string piece = stream.push(id);
        REQUIRE(is_well_formed(piece));
        text += piece;
      }
      text += stream.finish();
      INFO(name << ": '" << text << "'");
      REQUIRE(text == tokenizer->decode(ids, special));
    }
  }
}

TEST_CASE("a stream holds back only what is unfinished", "[text]") {
  ELMS_REQUIRE_SHARED(gguf, "tokenizers/ggml-vocab/ggml-vocab-llama-spm.gguf");
  const TokenizerPtr tokenizer = elms_test::open_gguf_tokenizer(gguf);
  const auto byte = [&](const char* text) { return tokenizer->find(text); };
  StreamDecoder stream(*tokenizer);
  CHECK(stream.push(tokenizer->find("▁Hello")) == "Hello");  // the space that encode() would have put in
  CHECK(stream.push(tokenizer->find("▁world")) == " world");
  CHECK(stream.push(byte("<0xF0>")) == "");
  CHECK(stream.push(byte("<0x9F>")) == "");
  CHECK(stream.push(byte("<0x99>")) == "");
  CHECK(stream.push(byte("<0x82>")) == "🙂");
  CHECK(stream.push(byte("<0xE2>")) == "");
  CHECK(stream.push(byte("<0x41>")) == "\uFFFDA");
  CHECK(stream.push(byte("<0xE2>")) == "");
  CHECK(stream.push(byte("<0x82>")) == "");
  CHECK(stream.finish() == "\uFFFD");
  CHECK(stream.finish() == "");
}

TEST_CASE("WordPiece streams words when their spaces are certain", "[text]") {
  ELMS_REQUIRE_SHARED(minilm, "encoders/all-MiniLM-L6-v2-tokenizer.json");
  const TokenizerPtr tokenizer = elms_test::open_json_tokenizer(minilm);
  StreamDecoder stream(*tokenizer);
  std::vector<std::string> pieces;
  for (const elms::TokenId id : tokenizer->encode("It's fine, isn't it?")) pieces.push_back(stream.push(id));
  pieces.push_back(stream.finish());
  std::string text;
  for (const std::string& piece : pieces) text += piece;
  CHECK(text == "it's fine, isn't it?");
  CHECK(pieces.back().size() < text.size());
}

TEST_CASE("any bytes can be encoded", "[text]") {
  ELMS_REQUIRE_SHARED(folder, "tokenizers/ggml-vocab");
  auto rng = elms_test::make_rng(9);
  for (const auto& [name, tokenizer] : all_tokenizers(true)) {
    for (int round = 0; round < 800; ++round) {
      const std::string text = random_bytes(rng);
      const Ids ids = tokenizer->encode(text, {.add_special = false, .parse_special = rng() % 2 == 0});
      for (const elms::TokenId id : ids) REQUIRE((id >= 0 && id < tokenizer->n_vocab()));
      REQUIRE(is_well_formed(tokenizer->decode(ids, true)));
    }
  }
}

TEST_CASE("a run encodes and counts text after text as encode does", "[text]") {
  ELMS_REQUIRE_SHARED(folder, "tokenizers/ggml-vocab");
  auto rng = elms_test::make_rng(13);
  for (const auto& [name, tokenizer] : all_tokenizers(true)) {
    const auto run = tokenizer->start_run();
    Ids ids, expected;
    for (int round = 0; round < 400; ++round) {
      std::string text = random_bytes(rng);
      if (round % 4 == 0) text += " <s>[CLS]<|endoftext|></s>";
      for (int draft = 0; draft < 3; ++draft) {
        const elms::EncodeOptions options = {.add_special = rng() % 2 == 0, .parse_special = rng() % 2 == 0};
        INFO(name << ": '" << text << "'");
        const Ids alone = tokenizer->encode(text, options);
        REQUIRE(run->count(text, options) == alone.size());
        run->encode(text, options, ids);
        expected.insert(expected.end(), alone.begin(), alone.end());
        REQUIRE(ids == expected);
        text.erase(text.size() / 3, rng() % 5);
      }
    }
  }
}

TEST_CASE("invalid UTF-8 becomes byte tokens that give the bytes back", "[text]") {
  ELMS_REQUIRE_SHARED(spm, "tokenizers/ggml-vocab/ggml-vocab-llama-spm.gguf");
  ELMS_REQUIRE_SHARED(gpt2, "tokenizers/ggml-vocab/ggml-vocab-gpt-2.gguf");
  for (const std::string& path : {spm, gpt2}) {
    const TokenizerPtr tokenizer = elms_test::open_gguf_tokenizer(path);
    const std::string text = "a\xFF\xC3(\xF0\x9F";
    std::string bytes;
    for (const elms::TokenId id : tokenizer->encode(text, {.add_special = false}))
      bytes += tokenizer->token_bytes(id);
    CHECK(bytes == (tokenizer->model() == "llama" ? " " + text : text));
  }
}

TEST_CASE("a megabyte of one letter is one word", "[text]") {
  ELMS_REQUIRE_SHARED(folder, "tokenizers/ggml-vocab");
#ifdef _GLIBCXX_DEBUG  // which looks through a whole queue at every step
  const std::string text(1 << 12, 'a');
#else
  const std::string text(1 << 20, 'a');
#endif
  for (const auto& [name, tokenizer] : all_tokenizers(false)) {
    INFO(name);
    const Ids ids = tokenizer->encode(text);
    CHECK(ids.size() < text.size() / 3);
    CHECK(tokenizer->decode(ids) == text);
  }
}

TEST_CASE("threads share a tokenizer", "[text][threads]") {
  ELMS_REQUIRE_SHARED(gguf, "tokenizers/ggml-vocab/ggml-vocab-llama-spm.gguf");
  const TokenizerPtr tokenizer = elms_test::open_gguf_tokenizer(gguf);
  auto rng = elms_test::make_rng(10);
  std::vector<std::string> texts;
  std::vector<Ids> expected;
  for (int i = 0; i < 200; ++i) {
    texts.push_back(elms_test::random_text(rng, 20));
    expected.push_back(tokenizer->encode(texts.back()));
  }
  std::atomic<int> n_wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (std::size_t i = 0; i < texts.size(); ++i) n_wrong += tokenizer->encode(texts[i]) != expected[i];
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(n_wrong == 0);
}
