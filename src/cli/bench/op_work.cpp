#include "cli/bench/op_work.hpp"

#include <cstddef>

namespace elms_cli {
namespace {

using elms::detail::PackedMatrix;

/// The first n rows and k columns of a matrix, as kernels read them: whole panels, whole blocks.
void add_product(const PackedMatrix& matrix, std::int32_t n, std::int32_t k, std::int32_t tokens,
                 OpWork& work) {
  const elms_gemm_kernel& kernel = *matrix.kernel;
  work.operations += 2.0 * n * k * tokens;
  work.bytes += 1.0 * ((n + kernel.nr - 1) / kernel.nr) * ((k + kernel.block_k - 1) / kernel.block_k) *
                static_cast<double>(kernel.block_bytes);
}

/// Each token attends to all before it and to itself.
OpWork attention_work(const elms::Session& session, std::int32_t tokens, std::int32_t context) {
  const elms::ModelConfig& config = session.model().config();
  const double pairs = 1.0 * tokens * context + 0.5 * tokens * (tokens + 1.0);
  OpWork work;
  for (const elms::LayerShape& layer : session.slices())
    work.operations += 4.0 * config.head_dim * layer.q_heads * pairs;
  work.bytes = static_cast<double>(session.kv_bytes()) / session.context_tokens() * (context + tokens);
  return work;
}

}  // namespace

OpWork work_of(elms::Op op, const elms::Session& session, std::int32_t tokens, std::int32_t context) {
  const elms::detail::ModelWeights& weights = session.model().weights();
  const elms::ModelConfig& config = session.model().config();
  OpWork work;
  if (op == elms::Op::kAttention) return attention_work(session, tokens, context);
  if (op == elms::Op::kHead)
    add_product(weights.head, config.n_vocab, config.d_model, 1, work);  // of the last token only
  for (std::size_t i = 0; i < weights.layers.size(); ++i) {
    const elms::detail::LayerWeights& layer = weights.layers[i];
    const elms::LayerShape& slice = session.slices()[i];
    const std::int32_t d = config.d_model, q = slice.q_heads * config.head_dim,
                       kv = slice.kv_heads * config.head_dim;
    if (op == elms::Op::kQkv) {
      add_product(layer.wq, q, d, tokens, work);
      add_product(layer.wk, kv, d, tokens, work);
      add_product(layer.wv, kv, d, tokens, work);
    }
    if (op == elms::Op::kWo) add_product(layer.wo, d, q, tokens, work);
    if (op == elms::Op::kGateUp) {
      add_product(layer.gate, slice.ff, d, tokens, work);
      add_product(layer.up, slice.ff, d, tokens, work);
    }
    if (op == elms::Op::kDown) add_product(layer.down, d, slice.ff, tokens, work);
  }
  return work;
}

}  // namespace elms_cli
