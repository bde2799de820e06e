// What a level costs: bytes of weights that decoding one token reads.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "elms/detail/dtype.hpp"
#include "elms/model_config.hpp"

namespace elms::inline v0::detail {

/// Storage types of one layer's matrices.
struct LayerTypes {
  DType q = DType::kF32, k = DType::kF32, v = DType::kF32, o = DType::kF32;
  DType gate = DType::kF32, up = DType::kF32, down = DType::kF32;
};

/// Bytes of n values of a type, whole blocks or not: levels may end inside a block of a float format's padding.
[[nodiscard]] inline std::uint64_t stored_bytes(DType type, std::uint64_t n) noexcept {
  const DTypeInfo& info = dtype_info(type);
  return n * info.block_bytes / info.block_elems;
}

class CostModel {
 public:
  CostModel(const ModelConfig& config, std::vector<LayerTypes> types, DType head, DType embedding)
      : types_(std::move(types)), d_model_(config.d_model), head_dim_(config.head_dim) {
    const auto d = static_cast<std::uint64_t>(d_model_);
    // One row of the embedding, the output norm and the whole output head are read at every level.
    fixed_bytes_ = stored_bytes(head, d * static_cast<std::uint64_t>(config.n_vocab)) + stored_bytes(embedding, d) + 4 * d;
    full_bytes_ = bytes_per_token(config.layers);
  }

  [[nodiscard]] std::uint64_t layer_bytes(std::size_t layer, const LayerShape& shape) const noexcept {
    const auto d = static_cast<std::uint64_t>(d_model_);
    const LayerTypes& t = types_[layer];
    const std::uint64_t q = d * static_cast<std::uint64_t>(shape.q_heads) * static_cast<std::uint64_t>(head_dim_);
    const std::uint64_t kv = d * static_cast<std::uint64_t>(shape.kv_heads) * static_cast<std::uint64_t>(head_dim_);
    const std::uint64_t ff = d * static_cast<std::uint64_t>(shape.ff);
    return stored_bytes(t.q, q) + stored_bytes(t.k, kv) + stored_bytes(t.v, kv) + stored_bytes(t.o, q) +
           stored_bytes(t.gate, ff) + stored_bytes(t.up, ff) + stored_bytes(t.down, ff) + 2 * 4 * d;
  }

  [[nodiscard]] std::uint64_t bytes_per_token(std::span<const LayerShape> layers) const noexcept {
    std::uint64_t bytes = fixed_bytes_;
    for (std::size_t i = 0; i < layers.size(); ++i) bytes += layer_bytes(i, layers[i]);
    return bytes;
  }

  [[nodiscard]] double cost_share(std::span<const LayerShape> layers) const noexcept {
    return static_cast<double>(bytes_per_token(layers)) / static_cast<double>(full_bytes_);
  }

  [[nodiscard]] std::uint64_t full_bytes() const noexcept { return full_bytes_; }

 private:
  std::vector<LayerTypes> types_;
  std::int32_t d_model_;
  std::int32_t head_dim_;
  std::uint64_t fixed_bytes_ = 0;
  std::uint64_t full_bytes_ = 0;
};

}  // namespace elms::inline v0::detail
