// Published WordPiece and BPE vectors: SQuAD questions through BERT, and swift-transformers' test sentences.
#include "text/clean_up.hpp"
#include "text/normalize.hpp"
#include "text/pretokenize.hpp"
#include "vocab_files.hpp"

using elms_test::Ids;
using elms_test::TokenizerPtr;
using nlohmann::json;

namespace {

std::string join(const json& words) {
  std::string text;
  for (const json& word : words) {
    if (!text.empty()) text.push_back(' ');
    text.append(word.get<std::string>());
  }
  return text;
}

/// `cleaned`: transformers cleaned up what it decoded, which elms does for WordPiece only.
void check_swift(const TokenizerPtr& tokenizer, const std::string& vectors, const std::string& model,
                 bool cleaned = false) {
  const json cases = json::parse(elms_test::read_text(vectors))[model];
  REQUIRE(cases.size() == 18);
  const auto decode = [&](const Ids& ids, bool special) {
    std::string text = tokenizer->decode(ids, special);
    return cleaned ? elms::detail::take_settled(text, true, true) : text;
  };
  for (const json& one : cases) {
    const std::string text = one["input"];
    INFO("'" << text << "'");
    const Ids ids = tokenizer->encode(text);
    CHECK(ids == one["encoded"]["input_ids"].get<Ids>());
    CHECK(decode(ids, true) == one["decoded_with_special"].get<std::string>());
    CHECK(decode(ids, false) == one["decoded_without_special"].get<std::string>());
  }
}

void check_questions(const TokenizerPtr& tokenizer, const std::string& words, const std::string& ids) {
  const json expected = json::parse(elms_test::read_text(ids));
  const json questions = json::parse(elms_test::read_text(words));
  REQUIRE(expected.size() == questions.size());
  REQUIRE(questions.size() > 10000);
  int n_wrong = 0;
  for (std::size_t i = 0; i < questions.size(); ++i) {
    n_wrong += tokenizer->encode(join(questions[i]), {.add_special = false}) != expected[i].get<Ids>();
  }
  CHECK(n_wrong == 0);
}

}  // namespace

#define REQUIRE_MINILM() ELMS_REQUIRE_SHARED(minilm, "encoders/all-MiniLM-L6-v2-tokenizer.json")

TEST_CASE("bert_tokenized_questions.json through MiniLM's tokenizer.json", "[text][vectors]") {
  REQUIRE_MINILM();
  ELMS_REQUIRE_SHARED(words, "encoders/bert_basic_tokenized_questions.json");
  ELMS_REQUIRE_SHARED(ids, "encoders/bert_tokenized_questions.json");
  check_questions(elms_test::open_json_tokenizer(minilm), words, ids);
}

TEST_CASE("bert_tokenized_questions.json through the bge GGUF", "[text][vectors]") {
  ELMS_REQUIRE_SHARED(gguf, "tokenizers/ggml-vocab/ggml-vocab-bert-bge.gguf");
  ELMS_REQUIRE_SHARED(words, "encoders/bert_basic_tokenized_questions.json");
  ELMS_REQUIRE_SHARED(ids, "encoders/bert_tokenized_questions.json");
  check_questions(elms_test::open_gguf_tokenizer(gguf), words, ids);
}

TEST_CASE("bert_basic_tokenized_questions.json is what basic tokenisation leaves as it is",
          "[text][vectors]") {
  ELMS_REQUIRE_SHARED(path, "encoders/bert_basic_tokenized_questions.json");
  const json questions = json::parse(elms_test::read_text(path));
  const std::vector<elms::detail::SplitStep> steps = {{.kind = elms::detail::SplitStep::Kind::kBert}};
  std::vector<std::string_view> pieces, scratch;
  int n_wrong = 0;
  for (const json& words : questions) {
    std::string text;
    elms::detail::normalize(elms::detail::bert_normalizer(true, true, true, true), join(words), text);
    elms::detail::pre_tokenize(steps, text, pieces, scratch);
    n_wrong +=
        std::vector<std::string>(pieces.begin(), pieces.end()) != words.get<std::vector<std::string>>();
  }
  CHECK(n_wrong == 0);
}

TEST_CASE("swift_tokenizer_tests.json: bert-base-uncased", "[text][vectors]") {
  REQUIRE_MINILM();
  ELMS_REQUIRE_SHARED(vectors, "encoders/swift_tokenizer_tests.json");
  check_swift(elms_test::open_json_tokenizer(minilm), vectors, "bert-base-uncased");
  check_swift(elms_test::open_json_tokenizer(minilm), vectors, "google-bert/bert-base-uncased");
}

TEST_CASE("swift_tokenizer_tests.json: bert-base-uncased through the bge GGUF", "[text][vectors]") {
  ELMS_REQUIRE_SHARED(gguf, "tokenizers/ggml-vocab/ggml-vocab-bert-bge.gguf");
  ELMS_REQUIRE_SHARED(vectors, "encoders/swift_tokenizer_tests.json");
  check_swift(elms_test::open_gguf_tokenizer(gguf), vectors, "bert-base-uncased");
}

TEST_CASE("swift_tokenizer_tests.json: distilgpt2", "[text][vectors]") {
  ELMS_REQUIRE_SHARED(gguf, "tokenizers/ggml-vocab/ggml-vocab-gpt-2.gguf");
  ELMS_REQUIRE_SHARED(vectors, "encoders/swift_tokenizer_tests.json");
  check_swift(elms_test::open_gguf_tokenizer(gguf), vectors, "distilgpt2", true);
  check_swift(elms_test::write_and_open("gpt2", elms_test::gpt2_json()), vectors, "distilgpt2", true);
}

TEST_CASE("swift_tokenizer_tests.json: Llama 2", "[text][vectors]") {
  ELMS_REQUIRE_SHARED(gguf, "tokenizers/ggml-vocab/ggml-vocab-llama-spm.gguf");
  ELMS_REQUIRE_SHARED(vectors, "encoders/swift_tokenizer_tests.json");
  check_swift(elms_test::open_gguf_tokenizer(gguf), vectors, "coreml-projects/Llama-2-7b-chat-coreml");
}

TEST_CASE("swift_tokenizer_tests.json: Llama 3.2", "[text][vectors]") {
  ELMS_REQUIRE_SHARED(vocab, "tokenizers/llama3/encoder.json");
  ELMS_REQUIRE_SHARED(vectors, "encoders/swift_tokenizer_tests.json");
  check_swift(elms_test::write_and_open("llama3", elms_test::llama3_json()), vectors,
              "pcuenq/Llama-3.2-1B-Instruct-tokenizer", true);
}
