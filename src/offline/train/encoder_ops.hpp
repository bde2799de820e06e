// What an encoder of the BERT family has and a decoder has not, as forward/backward pairs; the rules are
// those of ops.hpp. Sequences of different lengths lie one after the other without padding: no row is
// computed that no text has, and nothing can attend to padding.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "elms/thread_pool.hpp"
#include "elms/types.hpp"

namespace elms::inline v0::offline::train {

/// Rows [begin, begin + length) of a batch.
struct SequenceSpan {
  std::size_t begin = 0, length = 0;
};

/// y [n, d] = rows of the three tables: tokens, positions, and the first type (every token's).
template <typename T>
void input_embedding_forward(ThreadPool& pool, std::span<const TokenId> tokens,
                             std::span<const TokenId> positions, std::size_t d, const T* token_table,
                             const T* position_table, const T* type_row, T* y);
template <typename T>
void input_embedding_backward(ThreadPool& pool, std::span<const TokenId> tokens,
                              std::span<const TokenId> positions, std::size_t d, const T* dy,
                              T* d_token_table, T* d_position_table, T* d_type_row);

/// y [n, d] = (x - mean) * inv_deviation * weight + bias of every row; mean and inv_deviation [n] are kept
/// for backward.
template <typename T>
void layer_norm_forward(ThreadPool& pool, std::size_t n, std::size_t d, T epsilon, const T* x,
                        const T* weight, const T* bias, T* y, T* mean, T* inv_deviation);
/// dx may be dy.
template <typename T>
void layer_norm_backward(ThreadPool& pool, std::size_t n, std::size_t d, const T* x, const T* weight,
                         const T* mean, const T* inv_deviation, const T* dy, T* dx, T* d_weight, T* d_bias);

/// y [n] = x * Phi(x), the form with erf. In floats erf is within 2e-7 (Abramowitz, Stegun 7.1.26).
template <typename T>
void gelu_forward(ThreadPool& pool, std::size_t n, const T* x, T* y);
/// dx may be dy.
template <typename T>
void gelu_backward(ThreadPool& pool, std::size_t n, const T* x, const T* dy, T* dx);

/// Sizes of attention without a mask over packed sequences: q, k, v and the output are [n_tokens, n_heads *
/// head_dim], and every token of a sequence sees all of its sequence.
struct PackedAttentionShape {
  std::span<const SequenceSpan> sequences;
  std::size_t n_heads = 0, head_dim = 0;

  static constexpr std::size_t kBlockRows = 64;  ///< queries whose probabilities are held at a time
  /// Elements of scratch for either direction over n_tokens.
  [[nodiscard]] static constexpr std::size_t scratch_elems(std::size_t n_tokens, std::size_t n_heads) {
    return n_tokens * n_heads * 2 * kBlockRows;
  }
};
template <typename T>
void packed_attention_forward(ThreadPool& pool, const PackedAttentionShape& shape, const T* q, const T* k,
                              const T* v, T* y, T* scratch);
template <typename T>
void packed_attention_backward(ThreadPool& pool, const PackedAttentionShape& shape, const T* q, const T* k,
                               const T* v, const T* dy, T* dq, T* dk, T* dv, T* scratch);

/// Multiplies x [n] by 0 with probability `rate` (in 16ths of a thousandth: a draw has 16 bits), else by 1 /
/// (1
/// - rate). Which ones follows from seed and place alone, so that the same call on the gradient is backward.
template <typename T>
void dropout(ThreadPool& pool, std::size_t n, double rate, std::uint64_t seed, T* x);

/// sum(weights[i] * -(target log p + (1 - target) log(1 - p))), p = sigmoid(logits), for targets in [0, 1]; n
/// elements with a weight of 0 are masked. d_logits [n] receives the gradient: null for none, or logits
/// itself.
template <typename T>
double binary_cross_entropy(std::size_t n, const T* targets, const T* weights, const T* logits, T* d_logits);

}  // namespace elms::inline v0::offline::train
