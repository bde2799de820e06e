// Random texts against what llama.cpp and Hugging Face's tokenizers make of them
// (tests/data/make_tokenizer_vectors.mjs).
#include <cstdlib>
#include <fstream>

#include "elms/detail/gguf.hpp"
#include "text/unicode.hpp"
#include "vocab_files.hpp"

using elms_test::Ids;
using elms_test::TokenizerPtr;
using nlohmann::json;

namespace {

json read_vectors() {
  const char* other = std::getenv("ELMS_TOKENIZER_VECTORS");
  const std::string path =
      other != nullptr ? other : std::string(ELMS_TEST_DATA_DIR) + "/tokenizer_vectors.json";
  return json::parse(elms_test::read_text(path));
}

/// The tokenizer.json files that the vectors are about, by name.
std::vector<std::pair<std::string, std::function<json()>>> json_tokenizers() {
  const auto gpt2_split = [](const char* regex) {
    return [regex] {
      return elms_test::with_steps(elms_test::gpt2_json(), json::array({elms_test::isolated_split(regex)}));
    };
  };
  return {{"gpt2", elms_test::gpt2_json},
          {"gpt2-llama3", gpt2_split(elms_test::kLlama3Regex)},
          {"gpt2-qwen2", gpt2_split(elms_test::kQwen2Regex)},
          {"gpt2-qwen2-nfc",
           [] {
             json tokenizer = elms_test::with_steps(
                 elms_test::gpt2_json(), json::array({elms_test::isolated_split(elms_test::kQwen2Regex)}));
             tokenizer["normalizer"] = {{"type", "NFC"}};
             return tokenizer;
           }},
          {"gpt2-deepseek-coder",
           [] {
             json steps = json::array();
             for (const char* regex :
                  {"[\r\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", "[一-龥ࠀ-一가-퟿]+", "\\p{N}"}) {
               steps.push_back(elms_test::isolated_split(regex));
             }
             return elms_test::with_steps(elms_test::gpt2_json(), steps);
           }},
          {"gpt2-deepseek-v3",
           [] {
             json steps = json::array();
             for (const char* regex :
                  {"\\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+",
                   "[!\"#$%&'()*+,\\-./"
                   ":;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| "
                   "?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+"}) {
               steps.push_back(elms_test::isolated_split(regex));
             }
             return elms_test::with_steps(elms_test::gpt2_json(), steps);
           }},
          {"llama3", elms_test::llama3_json},
          {"llama2",
           [] {
             return elms_test::llama2_json(elms_test::shared_dir() +
                                           "/tokenizers/ggml-vocab/ggml-vocab-llama-spm.gguf");
           }},
          {"minilm", [] {
             return json::parse(
                 elms_test::read_text(elms_test::shared_dir() + "/encoders/all-MiniLM-L6-v2-tokenizer.json"));
           }}};
}

/// A GGUF vocabulary with another value of tokenizer.ggml.pre.
TokenizerPtr open_gguf(const std::string& name, const json& pre) {
  auto bytes =
      elms_test::read_bytes(elms_test::shared_dir() + "/tokenizers/ggml-vocab/ggml-vocab-" + name + ".gguf");
  if (pre.is_string()) bytes = elms_test::with_pre_tokenizer(bytes, pre.get<std::string>());
  auto file = elms::detail::GgufFile::parse(bytes, name);
  REQUIRE_OK(file);
  auto tokenizer = elms::Tokenizer::from_gguf(*file);
  REQUIRE_OK(tokenizer);
  return *tokenizer;
}

}  // namespace

TEST_CASE("random texts give the ids of llama.cpp", "[text][peers]") {
  ELMS_REQUIRE_SHARED(folder, "tokenizers/ggml-vocab");
  const json vectors = read_vectors();
  for (const json& entry : vectors["tokenizers"]) {
    if (entry["source"] != "gguf") continue;
    const std::string name = entry["name"];
    const TokenizerPtr tokenizer = open_gguf(name, entry["pre"]);
    int n_wrong = 0;
    for (std::size_t i = 0; i < vectors["texts"].size(); ++i) {
      if (entry["ids"][i].is_null()) continue;
      const std::string text = vectors["texts"][i];
      INFO(name << " pre " << entry["pre"] << " text " << vectors["texts"][i].dump(-1, ' ', true));
      const Ids ids = tokenizer->encode(text, {.add_special = false});
      if (ids != entry["ids"][i].get<Ids>() && ++n_wrong <= 5) CHECK(ids == entry["ids"][i].get<Ids>());
    }
    INFO(name << " pre " << entry["pre"] << ": texts that differ, of " << vectors["texts"].size());
    CHECK(n_wrong == 0);
  }
}

TEST_CASE("random texts give the ids of Hugging Face's tokenizers", "[text][peers]") {
  ELMS_REQUIRE_SHARED(folder, "tokenizers/ggml-vocab");
  const json vectors = read_vectors();
  for (const auto& [name, make] : json_tokenizers()) {
    const TokenizerPtr tokenizer = elms_test::write_and_open(name, make());
    for (const json& entry : vectors["tokenizers"]) {
      if (entry["source"] != "json" || entry["name"] != name) continue;
      int n_wrong = 0;
      for (std::size_t i = 0; i < vectors["texts"].size(); ++i) {
        if (entry["ids"][i].is_null()) continue;
        const std::string text = vectors["texts"][i];
        INFO(name << " text " << vectors["texts"][i].dump(-1, ' ', true));
        const Ids ids = tokenizer->encode(text, {.add_special = false, .parse_special = true});
        if (ids != entry["ids"][i].get<Ids>() && ++n_wrong <= 5) CHECK(ids == entry["ids"][i].get<Ids>());
      }
      INFO(name << ": texts that differ, of " << vectors["texts"].size());
      CHECK(n_wrong == 0);
    }
  }
}

// Not a test: writes the files for make_tokenizer_vectors.mjs.
TEST_CASE("writes the tokenizer.json files of the peer vectors", "[.write_tokenizer_json]") {
  const char* folder = std::getenv("ELMS_WRITE_TOKENIZER_JSON");
  REQUIRE(folder != nullptr);
  for (const auto& [name, make] : json_tokenizers()) {
    std::ofstream(std::string(folder) + "/" + name + ".json") << make().dump();
  }
}
