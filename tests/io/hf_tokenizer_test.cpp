// The tokenizer of a Hugging Face directory, and of the GGUF that is made of it: the same tokens.
#include <nlohmann/json.hpp>

#include "elms/detail/model_source.hpp"
#include "support.hpp"
#include "tests/text/vocab_files.hpp"
#include "tiny_checkpoint.hpp"

using namespace elms;
using namespace elms::detail;
using namespace elms_test;
using nlohmann::json;

namespace {

/// A directory whose model has as many rows of embeddings as asked for.
std::string write_model(const std::string& name, std::uint32_t n_vocab, const json& tokenizer,
                        const json& config = {}) {
  std::mt19937 rng = make_rng(61);
  TinyShape shape;
  shape.layers = 1;
  shape.d = 4;
  shape.head_dim = 2;
  shape.ff = 2;
  shape.vocab = n_vocab;
  shape.tied = true;
  const std::string path = write_hf(name, shape, tiny_tensors(shape, rng), "BF16");
  write_text(path + "/tokenizer.json", tokenizer.dump());
  if (!config.is_null()) write_text(path + "/tokenizer_config.json", config.dump());
  return path;
}

/// Opens the directory and the GGUF that copy_metadata makes of it, and compares what their tokenizers do.
void require_same_tokens(const std::string& directory, const std::string& model) {
  const auto hf = ModelSource::open(directory);
  REQUIRE_OK(hf);
  const auto from_json = (*hf)->open_tokenizer();
  REQUIRE_OK(from_json);
  const auto gguf = ModelSource::open(copy_to_gguf(**hf, "tokenizer.gguf"));
  REQUIRE_OK(gguf);
  const auto from_gguf = (*gguf)->open_tokenizer();
  REQUIRE_OK(from_gguf);

  const Tokenizer &a = **from_json, &b = **from_gguf;
  REQUIRE(a.model() == model);
  REQUIRE(b.model() == model);
  REQUIRE(b.n_vocab() == (*hf)->config().n_vocab);
  REQUIRE(a.bos() == b.bos());
  REQUIRE(a.eos() == b.eos());
  for (TokenId id = 0; id < a.n_vocab(); ++id) {
    if (a.token_text(id).empty()) continue;
    REQUIRE(a.token_text(id) == b.token_text(id));
    REQUIRE(a.is_control(id) == b.is_control(id));
    REQUIRE(a.is_end_of_generation(id) == b.is_end_of_generation(id));
  }
  std::mt19937 rng = make_rng(62);
  for (int i = 0; i < 400; ++i) {
    const std::string text = random_text(rng, 1 + static_cast<std::size_t>(i) / 4);
    INFO(text);
    const Ids ids = a.encode(text);
    REQUIRE(b.encode(text) == ids);
    REQUIRE(b.decode(ids) == a.decode(ids));
  }
  // Rows of the embedding without a token.
  for (TokenId id = a.n_vocab(); id < b.n_vocab(); ++id)
    REQUIRE(b.token_text(id) == "[PAD" + std::to_string(id) + "]");
}

void require_no_gguf_form(const json& tokenizer, const std::string& part, const json& config = {}) {
  const auto hf = ModelSource::open(write_model("no-gguf-form", 60000, tokenizer, config));
  REQUIRE_OK(hf);
  REQUIRE_OK((*hf)->open_tokenizer());  // elms itself runs it
  GgufWriter writer;
  const Status status = (*hf)->copy_metadata(writer);
  INFO(status.message());
  REQUIRE(status.code() == StatusCode::kUnsupported);
  REQUIRE(status.message().find("tokenizer.json") != std::string::npos);
  REQUIRE(status.message().find(part) != std::string::npos);
}

}  // namespace

TEST_CASE("hf tokenizer gpt2 becomes an equal GGUF tokenizer", "[io][hf]") {
  ELMS_REQUIRE_SHARED(vocabulary, "tokenizers/gpt2/vocab.json");
  const json config = {
      {"bos_token", "<|endoftext|>"}, {"eos_token", "<|endoftext|>"}, {"chat_template", "{{ x }}"}};
  const std::string path = write_model("gpt2", 50300, gpt2_json(), config);
  require_same_tokens(path, "gpt2");
  const auto gguf = GgufFile::open(scratch_path("tokenizer.gguf"));
  REQUIRE_OK(gguf);
  REQUIRE(*gguf->string("tokenizer.ggml.pre") == "gpt-2");
  REQUIRE(*gguf->string("tokenizer.chat_template") == "{{ x }}");
  REQUIRE(*gguf->boolean("tokenizer.ggml.add_bos_token") == false);
}

TEST_CASE("hf tokenizer llama3 becomes an equal GGUF tokenizer", "[io][hf]") {
  ELMS_REQUIRE_SHARED(vocabulary, "tokenizers/llama3/encoder.json");
  require_same_tokens(write_model("llama3-tokens", 128256, llama3_json(), {{"eos_token", "<|end_of_text|>"}}),
                      "gpt2");
  const auto gguf = GgufFile::open(scratch_path("tokenizer.gguf"));
  REQUIRE_OK(gguf);
  REQUIRE(*gguf->string("tokenizer.ggml.pre") == "llama-bpe");
  REQUIRE(*gguf->boolean("tokenizer.ggml.add_bos_token") == true);
}

TEST_CASE("hf tokenizer llama2 becomes an equal GGUF tokenizer with scores", "[io][hf]") {
  ELMS_REQUIRE_SHARED(vocabulary, "tokenizers/ggml-vocab/ggml-vocab-llama-spm.gguf");
  require_same_tokens(write_model("llama2-tokens", 32000, llama2_json(vocabulary),
                                  {{"bos_token", "<s>"}, {"eos_token", "</s>"}}),
                      "llama");
  const auto gguf = GgufFile::open(scratch_path("tokenizer.gguf"));
  REQUIRE_OK(gguf);
  REQUIRE(gguf->find("tokenizer.ggml.scores")->count == 32000);
}

TEST_CASE("hf tokenizer with more tokens than the model is refused", "[io][hf]") {
  ELMS_REQUIRE_SHARED(vocabulary, "tokenizers/gpt2/vocab.json");
  const auto hf = ModelSource::open(write_model("too-many", 50256, gpt2_json()));
  REQUIRE_OK(hf);
  GgufWriter writer;
  for (const Status& status : {status_of((*hf)->open_tokenizer()), (*hf)->copy_metadata(writer)}) {
    INFO(status.message());
    REQUIRE(status.code() == StatusCode::kMalformedFile);
    REQUIRE(status.message().find("expected at most the 50256 tokens of the model, found 50257") !=
            std::string::npos);
  }
}

TEST_CASE("hf tokenizer without a form in GGUF is refused when metadata is copied", "[io][hf]") {
  ELMS_REQUIRE_SHARED(vocabulary, "tokenizers/gpt2/vocab.json");
  json tokenizer = gpt2_json();
  tokenizer["pre_tokenizer"]["add_prefix_space"] = true;
  require_no_gguf_form(tokenizer, "adds a space before the text");

  tokenizer = gpt2_json();
  tokenizer["normalizer"] = {{"type", "Lowercase"}};
  require_no_gguf_form(tokenizer, "normalizer");

  tokenizer = gpt2_json();
  tokenizer["model"]["ignore_merges"] = true;  // in GGUF that comes with llama3's pre-tokenizer only
  require_no_gguf_form(tokenizer, "no name for this pre_tokenizer");

  const json special = {{"SpecialToken", {{"id", "<|endoftext|>"}, {"type_id", 0}}}};
  const json text = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}};
  tokenizer = gpt2_json();
  tokenizer["post_processor"] = {
      {"type", "TemplateProcessing"},
      {"single", {special, special, text}},
      {"special_tokens",
       {{"<|endoftext|>", {{"id", "<|endoftext|>"}, {"ids", {50256}}, {"tokens", {"<|endoftext|>"}}}}}}};
  require_no_gguf_form(tokenizer, "adds 2 tokens on one side");
}

TEST_CASE("hf tokenizer whose merges no scores can order is refused when metadata is copied", "[io][hf]") {
  ELMS_REQUIRE_SHARED(vocabulary, "tokenizers/ggml-vocab/ggml-vocab-llama-spm.gguf");
  json tokenizer = llama2_json(vocabulary);
  json& merges = tokenizer["model"]["merges"];
  merges.push_back(merges.front());
  require_no_gguf_form(tokenizer, "do not follow each other");

  tokenizer = llama2_json(vocabulary);
  tokenizer["model"]["byte_fallback"] = false;
  require_no_gguf_form(tokenizer, "byte_fallback");
}
