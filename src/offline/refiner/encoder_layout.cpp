#include "offline/refiner/encoder_layout.hpp"

#include <algorithm>
#include <utility>

#include "elms/detail/error.hpp"
#include "offline/random.hpp"

namespace elms::inline v0::offline::refiner {

std::size_t EncoderLayout::append(std::string name, std::size_t rows, std::size_t cols) {
  tensors_.push_back({std::move(name), rows, cols, size_});
  return std::exchange(size_, size_ + rows * cols);
}

EncoderLayerOffsets EncoderLayout::append_layer(const std::string& prefix) {
  const std::size_t d = shape_.d_model, ff = shape_.d_ff;
  const auto matrix = [&](const char* name, std::size_t rows, std::size_t cols) {
    return append(prefix + name + ".weight", rows, cols);
  };
  const auto vector = [&](const char* name, std::size_t n) { return append(prefix + name, 1, n); };
  EncoderLayerOffsets at{};
  at.wq = matrix("attn_q", d, d);
  at.bq = vector("attn_q.bias", d);
  at.wk = matrix("attn_k", d, d);
  at.bk = vector("attn_k.bias", d);
  at.wv = matrix("attn_v", d, d);
  at.bv = vector("attn_v.bias", d);
  at.wo = matrix("attn_output", d, d);
  at.bo = vector("attn_output.bias", d);
  at.attn_norm = vector("attn_output_norm.weight", d);
  at.attn_norm_bias = vector("attn_output_norm.bias", d);
  at.up = matrix("ffn_up", ff, d);
  at.up_bias = vector("ffn_up.bias", ff);
  at.down = matrix("ffn_down", d, ff);
  at.down_bias = vector("ffn_down.bias", d);
  at.out_norm = vector("layer_output_norm.weight", d);
  at.out_norm_bias = vector("layer_output_norm.bias", d);
  return at;
}

EncoderLayout::EncoderLayout(EncoderShape shape) : shape_(std::move(shape)) {
  const std::size_t d = shape_.d_model;
  token_embedding = append("token_embd.weight", shape_.n_vocab, d);
  position_embedding = append("position_embd.weight", shape_.max_positions, d);
  type_embedding = append("token_types.weight", kTypes, d);
  norm = append("token_embd_norm.weight", 1, d);
  norm_bias = append("token_embd_norm.bias", 1, d);
  for (std::size_t i = 0; i < shape_.n_layers; ++i)
    score_path_.push_back(append_layer(detail::concat("blk.", i, ".")));
  score_weight = append("elms.refiner.score.weight", 1, d);
  score_bias = append("elms.refiner.score.bias", 1, 1);
  mlm_bias = append("mlm.bias", 1, shape_.n_vocab);
  first_decision_tensor_ = tensors_.size();
  main_size_ = size_;
  if (!shape_.has_decision()) return;
  const auto trunk_end = score_path_.begin() + static_cast<std::ptrdiff_t>(shape_.n_shared_layers);
  decision_path_.assign(score_path_.begin(), trunk_end);
  for (std::size_t i = 0; i < shape_.n_decision_layers; ++i)
    decision_path_.push_back(append_layer(detail::concat("elms.refiner.decision.blk.", i, ".")));
  const std::size_t n = shape_.n_decision_hidden;
  hidden_weight = append("elms.refiner.decision.hidden.weight", n, d + kSloInputs);
  hidden_bias = append("elms.refiner.decision.hidden.bias", 1, n);
  output_weight = append("elms.refiner.decision.output.weight", shape_.grid_size(), n);
  output_bias = append("elms.refiner.decision.output.bias", 1, shape_.grid_size());
}

void draw_encoder(std::span<const train::ParameterTensor> tensors, std::uint64_t seed,
                  std::span<float> params) {
  constexpr float kDeviation = 0.02f;
  for (const train::ParameterTensor& tensor : tensors) {
    float* const out = params.data() + tensor.offset;
    const bool is_matrix = tensor.rows > 1 || tensor.name == "elms.refiner.score.weight";
    if (!is_matrix) {
      std::fill_n(out, tensor.size(), tensor.name.ends_with("norm.weight") ? 1.0f : 0.0f);
      continue;
    }
    const std::uint64_t tensor_seed = mixed(mixed(seed) + tensor.offset);
    for (std::size_t r = 0; r < tensor.rows; ++r)
      draw_row(mixed(tensor_seed + r), tensor.cols, 0.0f, kDeviation, out + r * tensor.cols);
  }
}

}  // namespace elms::inline v0::offline::refiner
