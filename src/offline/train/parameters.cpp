#include "offline/train/parameters.hpp"

#include <algorithm>
#include <utility>

#include "elms/detail/error.hpp"
#include "io/tensor_names.hpp"

namespace elms::inline v0::offline::train {

ParameterLayout::ParameterLayout(ModelConfig config, bool recovery_biases) : config_(std::move(config)) {
  const auto append = [&](std::string name, std::size_t rows, std::size_t cols) {
    tensors_.push_back({std::move(name), rows, cols, size_});
    size_ += rows * cols;
  };
  for (const detail::ExpectedTensor& tensor : detail::expected_tensors(config_)) {
    if (tensor.spec->presence == detail::TensorPresence::kRopeDivisors)
      continue;  // constants, not parameters
    append(detail::gguf_tensor_name(*tensor.spec, tensor.layer), tensor.rows, tensor.cols);
  }
  const auto d_model = static_cast<std::size_t>(config_.d_model);
  for (std::size_t i = 0; recovery_biases && i < config_.layers.size(); ++i) {
    if (!config_.output_bias) append(detail::concat("blk.", i, ".attn_output.bias"), 1, d_model);
    append(detail::concat("blk.", i, ".ffn_down.bias"), 1, d_model);
  }

  const auto offset = [&](const std::string& name) {
    const ParameterTensor* tensor = find(name);
    return tensor == nullptr ? kAbsent : tensor->offset;
  };
  embedding_ = offset("token_embd.weight");
  output_norm_ = offset("output_norm.weight");
  head_ = config_.tied_head ? embedding_ : offset("output.weight");
  for (std::size_t i = 0; i < config_.layers.size(); ++i) {
    const auto of = [&](const char* suffix) { return offset(detail::concat("blk.", i, ".", suffix)); };
    layers_.push_back(
        {of("attn_norm.weight"), of("attn_q.weight"), of("attn_q.bias"), of("attn_q_norm.weight"),
         of("attn_k.weight"), of("attn_k.bias"), of("attn_k_norm.weight"), of("attn_v.weight"),
         of("attn_v.bias"), of("attn_output.weight"), of("attn_output.bias"), of("ffn_norm.weight"),
         of("ffn_gate.weight"), of("ffn_up.weight"), of("ffn_down.weight"), of("ffn_down.bias")});
  }
}

const ParameterTensor* ParameterLayout::find(std::string_view name) const noexcept {
  const auto found = std::find_if(tensors_.begin(), tensors_.end(),
                                  [&](const ParameterTensor& t) { return t.name == name; });
  return found == tensors_.end() ? nullptr : &*found;
}

}  // namespace elms::inline v0::offline::train
