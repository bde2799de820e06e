// Any bytes as the file of an elastic model, or, behind an 'A', as the adapter of the narrowest level of a
// good one. What opens computes a few tokens at two widths.
#include <cmath>

#include "elms/elastic_model.hpp"
#include "elms/session.hpp"
#include "tests/fuzz/fuzz_targets.hpp"
#include "tests/fuzz/scratch_file.hpp"

using namespace elms;  // NOLINT

namespace {

using elms_test::require;

void compute(const std::shared_ptr<const ElasticModel>& model) {
  require(!model->levels().empty() &&
              model->levels().back().layers.size() == static_cast<std::size_t>(model->config().n_layers),
          "the full model is a level");
  SessionOptions options;
  options.context_tokens = 6;
  options.batch_tokens = 3;
  auto session = Session::create(model, options);
  if (!session.has_value()) return;  // no memory for its sizes
  const TokenId tokens[] = {0, 1, 0, 1};
  session->set_width(0.01);
  if (!session->prefill(std::span(tokens).first(model->config().n_vocab > 1 ? 4 : 1)).ok()) return;
  session->set_width(1.0);
  const auto token = session->decode();
  if (token.has_value())
    require(*token >= 0 && *token < model->config().n_vocab, "tokens are in the vocabulary");
}

void open(const std::string& path) {
  static const std::shared_ptr<ThreadPool> pool = *ThreadPool::create(1);
  OpenOptions options;
  options.pool = pool;
  const auto model = ElasticModel::open(path, options);
  if (model.has_value()) {
    compute(*model);
    (void)(*model)->tokenizer();
  } else {
    // Its own, or that of an adapter, which a model may name as it likes.
    const std::string folder = path.substr(0, path.rfind('/') + 1);
    require(model.error().code() == StatusCode::kOutOfMemory ||
                model.error().message().find(folder) != std::string::npos,
            "every error names the file");
  }
}

}  // namespace

void elms_test::fuzz_model_file(FuzzBytes bytes) {
  static ScratchFolder folder;
  if (bytes.empty()) return;
  if (bytes[0] != 'A') {
    open(folder.write("model.gguf", bytes));
    return;
  }
  static const std::string model = [] {
    for (const char* level : {"1", "2", "3"}) {
      const std::string adapter = "llama.level" + std::string(level) + ".lora.gguf";
      folder.write(adapter, FuzzBytes(read_corpus_file("model_file/adapter.gguf")).subspan(1));
    }
    return folder.write("llama.gguf", read_corpus_file("model_file/llama.gguf"));
  }();
  folder.write("llama.level0.lora.gguf", bytes.subspan(1));
  open(model);
}
