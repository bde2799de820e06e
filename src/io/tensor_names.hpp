// The one list of the tensors that a model has: their names in GGUF and in Hugging Face files, and their
// shapes.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "elms/model_config.hpp"

namespace elms::inline v0::detail {

/// A size of a tensor that follows from the model's config, some of them from the layer's shape.
enum class TensorSize : std::uint8_t {
  kOne,        ///< vectors have one row
  kModel,      ///< d_model
  kVocab,      ///< n_vocab
  kQuery,      ///< query heads * head_dim
  kKeyValue,   ///< key/value heads * head_dim
  kFf,         ///< FFN units
  kHeadDim,    ///< head_dim
  kRopePairs,  ///< n_rot / 2
};

/// Which models have a tensor.
enum class TensorPresence : std::uint8_t {
  kAlways,
  kUntiedHead,
  kQkvBias,
  kOutputBias,
  kQkNorm,
  kRopeDivisors
};

struct TensorSpec {
  std::string_view gguf;  ///< per layer: what follows "blk.N."
  std::string_view hf;  ///< per layer: what follows "model.layers.N."; empty where HF has no such tensor and
                        ///< the opened checkpoint makes one under its GGUF name
  TensorSize rows;
  TensorSize cols;
  TensorPresence presence;
  bool rotated;  ///< its outputs are turned by RoPE: HF orders them in halves
};

[[nodiscard]] std::span<const TensorSpec> model_tensor_specs() noexcept;  ///< once per model
[[nodiscard]] std::span<const TensorSpec> layer_tensor_specs() noexcept;  ///< once per layer

inline constexpr std::int32_t kNoLayer = -1;

[[nodiscard]] std::string gguf_tensor_name(const TensorSpec& spec, std::int32_t layer);
[[nodiscard]] std::string hf_tensor_name(const TensorSpec& spec, std::int32_t layer);

/// One tensor of a certain model.
struct ExpectedTensor {
  const TensorSpec* spec = nullptr;
  std::int32_t layer = kNoLayer;
  std::uint64_t rows = 1;
  std::uint64_t cols = 0;
};

/// Every tensor that a model of this config has: the model's own, then layer by layer.
[[nodiscard]] std::vector<ExpectedTensor> expected_tensors(const ModelConfig& config);

}  // namespace elms::inline v0::detail
