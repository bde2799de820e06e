// The forward pass of an encoder over one window, and its buffers.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "elms/detail/buffer.hpp"
#include "elms/types.hpp"
#include "refine/encoder_attention.hpp"
#include "refine/encoder_parts.hpp"

namespace elms::inline v0::detail {

/// A token and its place in the position table.
struct PlacedToken {
  TokenId token;
  std::int32_t position;
};

/// embed(), then layers in place on the states of up to max_positions tokens.
class EncoderPass {
 public:
  /// kOutOfMemory. The parts must outlive the pass.
  [[nodiscard]] static Result<EncoderPass> create(const EncoderParts& parts);

  /// States become the embeddings of the tokens, in ascending positions; all are in bounds. MobileBERT's
  /// neighbours of a token are those at the positions beside its own.
  [[nodiscard]] Status embed(std::span<const PlacedToken> tokens);
  /// kCancelled before the layer at which `cancel` was found set.
  [[nodiscard]] Status run(std::span<const EncoderLayer> layers, const CancelToken* cancel);

  /// [n tokens, d_model]
  [[nodiscard]] std::span<const float> states() const noexcept {
    return {hidden_.data(), static_cast<std::size_t>(m_) * static_cast<std::size_t>(config().d_model)};
  }
  /// Keeps the states for restore(): of models with a decision head.
  void save() noexcept;
  void restore() noexcept;

  [[nodiscard]] std::size_t scratch_bytes() const noexcept;

 private:
  [[nodiscard]] const EncoderConfig& config() const noexcept { return parts_->file.config(); }
  [[nodiscard]] Status run_layer(const EncoderLayer& layer);
  [[nodiscard]] Status attend(const EncoderLayer& layer, float* inner);
  [[nodiscard]] Status feed_forward(const FeedForward& ffn, float* inner);
  [[nodiscard]] Status linear(const Linear& linear, const float* x, float* out);
  void norm(const EncoderNormWeights& weights, const float* x, const float* residual, std::int32_t n,
            float* out);

  const EncoderParts* parts_ = nullptr;
  std::int32_t m_ = 0;  ///< tokens of the window
  EncoderAttention attention_;
  // M = max_positions, d = d_inner
  Buffer<float> hidden_;     ///< [M, d_model]: states
  Buffer<float> saved_;      ///< [M, d_model]
  Buffer<float> inner_;      ///< [M, d]: with bottlenecks only; otherwise the states themselves
  Buffer<float> shared_;     ///< [M, d]: what queries and keys are made of, with bottlenecks only
  Buffer<float> q_, k_, v_;  ///< [M, d]
  Buffer<float> attended_;   ///< [M, d]
  Buffer<float> projected_;  ///< [M, max(d, d_model)]: what a residual connection adds
  Buffer<float> wide_;       ///< [M, max(d_ff, inputs of the widening layer)]
  Buffer<std::uint8_t> lhs_;
};

}  // namespace elms::inline v0::detail
