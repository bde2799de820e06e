// The parameters of a refiner as one flat array: an encoder of the BERT family, its score head, and the
// decision branch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "offline/train/parameters.hpp"

namespace elms::inline v0::offline::refiner {

/// What a refiner file says of its encoder.
struct EncoderShape {
  std::size_t n_vocab = 0, d_model = 0, n_heads = 0, d_ff = 0, max_positions = 0;
  std::size_t n_layers = 0;           ///< trunk and score branch
  std::size_t n_shared_layers = 0;    ///< of these, the trunk's
  std::size_t n_decision_layers = 0;  ///< on top of the trunk; 0: no decision branch
  std::size_t n_decision_hidden = 0;
  float norm_epsilon = 1e-12f;
  std::vector<float> widths, keep_ratios;  ///< the decision head's grid, ascending

  [[nodiscard]] std::size_t head_dim() const noexcept { return d_model / n_heads; }
  [[nodiscard]] bool has_decision() const noexcept { return n_decision_layers > 0; }
  [[nodiscard]] std::size_t grid_size() const noexcept { return widths.size() * keep_ratios.size(); }
};

/// Offsets of a layer's tensors: y = LN(x + attention(x)), out = LN(y + ffn(y)).
struct EncoderLayerOffsets {
  std::size_t wq, bq, wk, bk, wv, bv, wo, bo, attn_norm, attn_norm_bias, up, up_bias, down, down_bias,
      out_norm, out_norm_bias;
};

enum class Branch : std::uint8_t { kScore, kDecision };

/// Where every parameter lies. The decision branch comes last, so that the rest is one span. Immutable.
class EncoderLayout {
 public:
  explicit EncoderLayout(EncoderShape shape);

  [[nodiscard]] const EncoderShape& shape() const noexcept { return shape_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  /// Names are those of the file; those of metadata begin with "elms.refiner."; "mlm.bias" is in no file.
  [[nodiscard]] std::span<const train::ParameterTensor> tensors() const noexcept { return tensors_; }
  [[nodiscard]] std::span<const train::ParameterTensor> decision_tensors() const noexcept {
    return tensors().subspan(first_decision_tensor_);
  }
  [[nodiscard]] std::span<const train::ParameterTensor> main_tensors() const noexcept {
    return tensors().first(first_decision_tensor_);
  }
  /// Elements before those of the decision branch.
  [[nodiscard]] std::size_t main_size() const noexcept { return main_size_; }

  /// The layers from the embedding to a branch's end.
  [[nodiscard]] std::span<const EncoderLayerOffsets> path(Branch branch) const noexcept {
    return branch == Branch::kScore ? score_path_ : decision_path_;
  }

  // Offsets of what is not a layer's.
  std::size_t token_embedding = 0, position_embedding = 0, type_embedding = 0, norm = 0, norm_bias = 0;
  std::size_t score_weight = 0, score_bias = 0, mlm_bias = 0;
  std::size_t hidden_weight = 0, hidden_bias = 0, output_weight = 0, output_bias = 0;

  static constexpr std::size_t kTypes = 2;      ///< rows of the type table; only the first is used
  static constexpr std::size_t kSloInputs = 2;  ///< shares of TTFT and TPOT, behind the pooled state

 private:
  std::size_t append(std::string name, std::size_t rows, std::size_t cols);
  EncoderLayerOffsets append_layer(const std::string& prefix);

  EncoderShape shape_;
  std::vector<train::ParameterTensor> tensors_;
  std::vector<EncoderLayerOffsets> score_path_, decision_path_;
  std::size_t size_ = 0, main_size_ = 0, first_decision_tensor_ = 0;
};

/// New weights: matrices from a normal distribution of deviation 0.02, norms 1, biases 0. Only the tensors
/// given, which are of `params` [layout.size()].
void draw_encoder(std::span<const train::ParameterTensor> tensors, std::uint64_t seed,
                  std::span<float> params);

}  // namespace elms::inline v0::offline::refiner
