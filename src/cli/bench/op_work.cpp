#include "cli/bench/op_work.hpp"

#include <initializer_list>

namespace elms_cli {
namespace {

using elms::detail::PackedMatrix;

void add_products(std::initializer_list<const PackedMatrix*> matrices, std::int32_t tokens, OpWork& work) {
  for (const PackedMatrix* matrix : matrices) {
    work.operations += 2.0 * matrix->rows * matrix->cols * tokens;
    work.bytes += static_cast<double>(matrix->n_panels()) * static_cast<double>(matrix->panel_stride_bytes);
  }
}

/// Each token attends to all before it and to itself.
OpWork attention_work(const elms::Session& session, std::int32_t tokens, std::int32_t context) {
  const elms::ModelConfig& config = session.model().config();
  const double pairs = 1.0 * tokens * context + 0.5 * tokens * (tokens + 1.0);
  OpWork work;
  for (const elms::LayerShape& layer : config.layers)
    work.operations += 4.0 * config.head_dim * layer.q_heads * pairs;
  work.bytes = static_cast<double>(session.kv_bytes()) / session.context_tokens() * (context + tokens);
  return work;
}

}  // namespace

OpWork work_of(elms::Op op, const elms::Session& session, std::int32_t tokens, std::int32_t context) {
  const elms::detail::ModelWeights& weights = session.model().weights();
  OpWork work;
  if (op == elms::Op::kAttention) return attention_work(session, tokens, context);
  if (op == elms::Op::kHead) add_products({&weights.head}, 1, work);  // of the last token only
  for (const elms::detail::LayerWeights& layer : weights.layers) {
    if (op == elms::Op::kQkv) add_products({&layer.wq, &layer.wk, &layer.wv}, tokens, work);
    if (op == elms::Op::kWo) add_products({&layer.wo}, tokens, work);
    if (op == elms::Op::kGateUp) add_products({&layer.gate, &layer.up}, tokens, work);
    if (op == elms::Op::kDown) add_products({&layer.down}, tokens, work);
  }
  return work;
}

}  // namespace elms_cli
