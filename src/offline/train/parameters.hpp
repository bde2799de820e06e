// The parameters of a decoder as one flat array, so that optimiser, clipping and checkpoints are loops over
// spans.
#pragma once

#include <cstddef>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "elms/model_config.hpp"

namespace elms::inline v0::offline::train {

/// One tensor inside the flat array: row-major [rows, cols], vectors have one row.
struct ParameterTensor {
  std::string name;  ///< as in GGUF
  std::size_t rows = 1, cols = 0;
  std::size_t offset = 0;  ///< elements from the start of the array

  [[nodiscard]] std::size_t size() const noexcept { return rows * cols; }
};

/// Offsets of the tensors of a layer; kAbsent for those that this family has not.
struct LayerOffsets {
  std::size_t attn_norm, wq, bq, q_norm, wk, bk, k_norm, wv, bv, wo, bo, ffn_norm, gate, up, down, down_bias;
};

/// Where every parameter of a model of one shape lies. A level of an elastic model is a model of its own
/// here: its config has the level's shapes (see units.hpp). Immutable.
class ParameterLayout {
 public:
  static constexpr std::size_t kAbsent = std::numeric_limits<std::size_t>::max();

  /// `recovery_biases`: also a bias [d_model] of every down projection (and, where the family has none, of
  /// every attention output), which recovery trains; GGUF has no tensor for the former.
  explicit ParameterLayout(ModelConfig config, bool recovery_biases = false);

  [[nodiscard]] const ModelConfig& config() const noexcept { return config_; }
  [[nodiscard]] const std::vector<ParameterTensor>& tensors() const noexcept { return tensors_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }                 ///< elements of the array
  [[nodiscard]] const ParameterTensor* find(std::string_view name) const noexcept;  ///< null when absent

  [[nodiscard]] std::size_t embedding() const noexcept { return embedding_; }
  [[nodiscard]] std::size_t output_norm() const noexcept { return output_norm_; }
  [[nodiscard]] std::size_t head() const noexcept {
    return head_;
  }  ///< the embedding's where the head is tied
  [[nodiscard]] const LayerOffsets& layer(std::size_t i) const noexcept { return layers_[i]; }

 private:
  ModelConfig config_;
  std::vector<ParameterTensor> tensors_;
  std::vector<LayerOffsets> layers_;
  std::size_t size_ = 0, embedding_ = 0, output_norm_ = 0, head_ = 0;
};

}  // namespace elms::inline v0::offline::train
