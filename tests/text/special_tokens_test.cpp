// Control and added tokens: who may write them, what they take along, what they end.
#include "text/added_tokens.hpp"
#include "vocab_files.hpp"

using elms::detail::AddedTokenSet;
using elms::detail::TextSection;
using elms_test::Ids;
using elms_test::TokenizerPtr;

namespace {

std::vector<std::pair<std::string, int>> cut(const AddedTokenSet& set, std::string_view text) {
  std::vector<TextSection> sections;
  set.split(text, sections);
  std::vector<std::pair<std::string, int>> out;
  for (const TextSection& section : sections) out.emplace_back(std::string(section.text), section.id);
  return out;
}

}  // namespace

TEST_CASE("added tokens are found from the left, the longest first", "[text][special]") {
  AddedTokenSet set;
  for (const auto& [text, id] : std::vector<std::pair<std::string, int>>{
           {"<a>", 1}, {"<a>b", 2}, {"<", 3}, {"ab", 4}, {"b<a>", 5}, {"<a>", 6}}) {
    set.add(text, id, false, false);
  }
  set.index();
  using Cut = std::vector<std::pair<std::string, int>>;
  CHECK(cut(set, "") == Cut{});
  CHECK(cut(set, "x") == Cut{{"x", -1}});
  CHECK(cut(set, "x<a>y") == Cut{{"x", -1}, {"<a>", 1}, {"y", -1}});
  CHECK(cut(set, "<a>b<a") == Cut{{"<a>b", 2}, {"<", 3}, {"a", -1}});
  CHECK(cut(set, "ab<a>") == Cut{{"ab", 4}, {"<a>", 1}});
  CHECK(cut(set, "<a<a>") == Cut{{"<", 3}, {"a", -1}, {"<a>", 1}});
}

TEST_CASE("added tokens take whitespace along where they say so", "[text][special]") {
  AddedTokenSet set;
  set.add("[L]", 1, true, false);
  set.add("[R]", 2, false, true);
  set.index();
  using Cut = std::vector<std::pair<std::string, int>>;
  CHECK(cut(set, "a \u3000[L] b") == Cut{{"a", -1}, {"[L]", 1}, {" b", -1}});
  CHECK(cut(set, "a [R] \n b") == Cut{{"a ", -1}, {"[R]", 2}, {"b", -1}});
  CHECK(cut(set, "  [L]") == Cut{{"[L]", 1}});
  CHECK(cut(set, "[R]  [L]") == Cut{{"[R]", 2}, {"[L]", 1}});
}

TEST_CASE("control tokens in a text are text, unless they are asked for", "[text][special]") {
  ELMS_REQUIRE_SHARED(vocab, "tokenizers/llama3/encoder.json");
  const TokenizerPtr tokenizer = elms_test::write_and_open("llama3", elms_test::llama3_json());
  const std::string text = "<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>";
  const Ids parsed = tokenizer->encode(text, {.parse_special = true});
  CHECK(parsed == Ids{128000, 128006, 882, 128007, 271, 13347, 128009});
  for (const elms::TokenId id : tokenizer->encode(text, {.add_special = false}))
    CHECK_FALSE(tokenizer->is_control(id));
  CHECK(tokenizer->decode(parsed) == "user\n\nHi");
  CHECK(tokenizer->decode(parsed, true) == "<|begin_of_text|>" + text);
  CHECK(tokenizer->token_bytes(128009).empty());
  CHECK(tokenizer->token_bytes(128009, true) == "<|eot_id|>");
}

TEST_CASE("no text makes control tokens of a SentencePiece vocabulary", "[text][special]") {
  ELMS_REQUIRE_SHARED(gguf, "models/stories260K.gguf");
  const TokenizerPtr tokenizer = elms_test::open_gguf_tokenizer(gguf);
  for (const char* text : {"<s>", "</s>", "a<s>b", "<unk>", "<0x0A>"}) {
    for (const elms::TokenId id : tokenizer->encode(text, {.add_special = false})) {
      CHECK_FALSE(tokenizer->is_control(id));
      CHECK(id != tokenizer->unk());
      CHECK(tokenizer->token_text(id) != "<0x0A>");
    }
  }
  CHECK(tokenizer->encode("a</s>", {.parse_special = true}).back() == 2);
}

TEST_CASE("user-defined tokens are always found", "[text][special]") {
  ELMS_REQUIRE_SHARED(gguf, "tokenizers/ggml-vocab/ggml-vocab-deepseek-coder.gguf");
  const TokenizerPtr tokenizer = elms_test::open_gguf_tokenizer(gguf);
  const Ids ids = tokenizer->encode("a<|User|>b", {.add_special = false});
  CHECK(ids == Ids{tokenizer->find("a"), tokenizer->find("<|User|>"), tokenizer->find("b")});
  CHECK(tokenizer->decode(ids) == "a<|User|>b");
  CHECK_FALSE(tokenizer->is_control(ids[1]));
}

TEST_CASE("Phi-3's added tokens swallow the whitespace after them", "[text][special]") {
  ELMS_REQUIRE_SHARED(gguf, "tokenizers/ggml-vocab/ggml-vocab-phi-3.gguf");
  const TokenizerPtr tokenizer = elms_test::open_gguf_tokenizer(gguf);
  const elms::EncodeOptions parse{.add_special = false, .parse_special = true};
  CHECK(tokenizer->encode("<|user|>\n Hi<|end|>\n", parse) == tokenizer->encode("<|user|>Hi<|end|>", parse));
  CHECK(tokenizer->encode("<s> Hi", parse) != tokenizer->encode("<s>Hi", parse));
  CHECK(tokenizer->is_end_of_generation(tokenizer->find("<|end|>")));
  CHECK(tokenizer->is_end_of_generation(tokenizer->find("<|endoftext|>")));
  CHECK_FALSE(tokenizer->is_end_of_generation(tokenizer->find("<|user|>")));
  CHECK(tokenizer->chat_template().find("<|user|>") != std::string_view::npos);
}

TEST_CASE("ids outside the vocabulary are nothing", "[text][special]") {
  ELMS_REQUIRE_SHARED(gguf, "models/stories260K.gguf");
  const TokenizerPtr tokenizer = elms_test::open_gguf_tokenizer(gguf);
  CHECK(tokenizer->n_vocab() == 512);
  CHECK(tokenizer->bos() == 1);
  CHECK(tokenizer->eos() == 2);
  CHECK(tokenizer->unk() == 0);
  CHECK(tokenizer->model() == "llama");
  CHECK(tokenizer->find("no such token") == elms::kNoToken);
  CHECK(tokenizer->find("") == elms::kNoToken);
  for (const elms::TokenId id : {-1, -2147483647, 512, 2147483647}) {
    CHECK(tokenizer->token_bytes(id, true).empty());
    CHECK(tokenizer->token_text(id).empty());
    CHECK_FALSE(tokenizer->is_control(id));
    CHECK_FALSE(tokenizer->is_end_of_generation(id));
  }
  CHECK(tokenizer->decode(Ids{-5, 512, tokenizer->find("▁the")}) == "the");
}
