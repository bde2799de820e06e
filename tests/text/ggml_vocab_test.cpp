// llama.cpp's own test vectors: inputs separated by a marker line, one line of ids for each, without special
// tokens.
#include <sstream>

#include "vocab_files.hpp"

using elms_test::Ids;
using elms_test::TokenizerPtr;

namespace {

constexpr const char* kFolder = "tokenizers/ggml-vocab/ggml-vocab-";

std::vector<std::string> read_inputs(const std::string& path) {
  const std::string marker = "\n__ggml_vocab_test__\n";
  const std::string text = elms_test::read_text(path);
  std::vector<std::string> inputs;
  std::size_t begin = 0;
  for (std::size_t end = text.find(marker); end != text.npos; end = text.find(marker, begin)) {
    inputs.push_back(text.substr(begin, end - begin));
    begin = end + marker.size();
  }
  if (begin < text.size()) inputs.push_back(text.substr(begin));
  return inputs;
}

std::vector<Ids> read_outputs(const std::string& path) {
  std::vector<Ids> outputs;
  for (const std::string& line : elms_test::split_lines(elms_test::read_text(path))) {
    std::istringstream in(line);
    Ids ids;
    for (elms::TokenId id; in >> id;) ids.push_back(id);
    outputs.push_back(std::move(ids));
  }
  return outputs;
}

void check_vectors(const TokenizerPtr& tokenizer, const std::string& vectors) {
  const auto inputs = read_inputs(vectors + ".inp");
  const auto outputs = read_outputs(vectors + ".out");
  REQUIRE(inputs.size() > 40);
  REQUIRE(outputs.size() == inputs.size());
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    INFO("case " << i << ": '" << inputs[i] << "'");
    CHECK(tokenizer->encode(inputs[i], {.add_special = false}) == outputs[i]);
    if (tokenizer->model() != "bert") CHECK(tokenizer->decode(outputs[i]) == inputs[i]);
  }
}

}  // namespace

#define CHECK_GGUF_VECTORS(name)                                    \
  ELMS_REQUIRE_SHARED(gguf, std::string(kFolder) + name + ".gguf"); \
  check_vectors(elms_test::open_gguf_tokenizer(gguf), gguf)

TEST_CASE("ggml vectors: llama-spm", "[text][vectors]") {
  CHECK_GGUF_VECTORS("llama-spm");
}
TEST_CASE("ggml vectors: phi-3", "[text][vectors]") {
  CHECK_GGUF_VECTORS("phi-3");
}
TEST_CASE("ggml vectors: gpt-2", "[text][vectors]") {
  CHECK_GGUF_VECTORS("gpt-2");
}
TEST_CASE("ggml vectors: deepseek-coder", "[text][vectors]") {
  CHECK_GGUF_VECTORS("deepseek-coder");
}
TEST_CASE("ggml vectors: bert-bge", "[text][vectors]") {
  CHECK_GGUF_VECTORS("bert-bge");
}

TEST_CASE("ggml vectors: llama-bpe through a tokenizer.json", "[text][vectors]") {
  ELMS_REQUIRE_SHARED(vocab, "tokenizers/llama3/encoder.json");
  ELMS_REQUIRE_SHARED(inputs, std::string(kFolder) + "llama-bpe.gguf.inp");
  const std::string vectors = inputs.substr(0, inputs.size() - 4);
  check_vectors(elms_test::write_and_open("llama3", elms_test::llama3_json()), vectors);
}

TEST_CASE("ggml vectors: gpt-2 through a tokenizer.json", "[text][vectors]") {
  ELMS_REQUIRE_SHARED(vocab, "tokenizers/gpt2/vocab.json");
  ELMS_REQUIRE_SHARED(gguf, std::string(kFolder) + "gpt-2.gguf");
  check_vectors(elms_test::write_and_open("gpt2", elms_test::gpt2_json()), gguf);
}

TEST_CASE("ggml vectors: llama-spm through a tokenizer.json with merges", "[text][vectors]") {
  ELMS_REQUIRE_SHARED(gguf, std::string(kFolder) + "llama-spm.gguf");
  check_vectors(elms_test::write_and_open("llama2", elms_test::llama2_json(gguf)), gguf);
}
