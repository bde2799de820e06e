// A whole encoder, forward and backward, over batches of sequences of any lengths.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "elms/detail/buffer.hpp"
#include "elms/status.hpp"
#include "elms/thread_pool.hpp"
#include "elms/types.hpp"
#include "offline/refiner/encoder_layout.hpp"
#include "offline/train/encoder_ops.hpp"

namespace elms::inline v0::offline::refiner {

/// Sequences one after the other; no padding.
struct PackedBatch {
  std::vector<TokenId> tokens;     ///< [n_tokens]
  std::vector<TokenId> positions;  ///< [n_tokens]: rows of the position table
  std::vector<train::SequenceSpan> sequences;

  [[nodiscard]] std::size_t n_tokens() const noexcept { return tokens.size(); }
  void clear() noexcept {
    tokens.clear();
    positions.clear();
    sequences.clear();
  }
  /// Adds a sequence whose first token stands at `first_position`.
  void append(std::span<const TokenId> sequence, std::size_t first_position = 0);
};

/// Dropout of one step; a rate of 0 is none.
struct Dropout {
  double rate = 0.0;
  std::uint64_t seed = 0;
};

/// Activations of one encoder. T is float in training and double where gradients are checked. Used by one
/// thread at a time; nothing allocates after create.
template <typename T>
class TrainEncoder {
 public:
  /// For batches of at most max_tokens over paths of at most max_layers. kOutOfMemory.
  [[nodiscard]] static Result<TrainEncoder> create(const EncoderShape& shape, std::size_t max_tokens,
                                                   std::size_t max_layers);

  /// Computes states() of a branch. params [layout.size()].
  void forward(ThreadPool& pool, const EncoderLayout& layout, const T* params, const PackedBatch& batch,
               Branch branch, const Dropout& dropout = {}) noexcept;
  /// Output of the branch's last layer [n_tokens, d_model].
  [[nodiscard]] std::span<const T> states() const noexcept;
  /// Where the caller puts the gradient of states() before backward [n_tokens, d_model]; overwritten by it.
  [[nodiscard]] std::span<T> gradient() noexcept;

  /// Adds to gradients [layout.size()] those of the layers from first_layer on and, where that is 0, of the
  /// embedding. Batch and dropout are those of forward().
  void backward(ThreadPool& pool, const EncoderLayout& layout, const T* params, const PackedBatch& batch,
                Branch branch, const Dropout& dropout, std::size_t first_layer, T* gradients) noexcept;

 private:
  /// What backward needs of a layer; rows are tokens.
  struct Activations {
    detail::Buffer<T> q, k, v, attended, attn_sum, middle;         ///< [max_tokens, d_model]
    detail::Buffer<T> raw, activated;                              ///< [max_tokens, d_ff]
    detail::Buffer<T> out_sum;                                     ///< [max_tokens, d_model]
    detail::Buffer<T> attn_mean, attn_scale, out_mean, out_scale;  ///< [max_tokens]
  };

  void layer_forward(ThreadPool& pool, const EncoderLayout& layout, const T* params, const PackedBatch& batch,
                     const EncoderLayerOffsets& at, std::size_t i, const Dropout& dropout) noexcept;
  void layer_backward(ThreadPool& pool, const EncoderLayout& layout, const T* params,
                      const PackedBatch& batch, const EncoderLayerOffsets& at, std::size_t i,
                      const Dropout& dropout, T* gradients) noexcept;

  std::size_t n_tokens_ = 0, n_layers_ = 0, d_model_ = 0;  ///< of the batch at hand
  detail::Buffer<T> embedded_, embedded_mean_, embedded_scale_;
  std::vector<detail::Buffer<T>> inputs_;  ///< [max_layers + 1]: of every layer, and the last one's output
  std::vector<Activations> activations_;   ///< [max_layers]
  detail::Buffer<T> gradient_, d_middle_, d_q_, d_k_, d_v_, d_raw_, scratch_;
};

extern template class TrainEncoder<float>;
extern template class TrainEncoder<double>;

}  // namespace elms::inline v0::offline::refiner
