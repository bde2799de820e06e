// The layers of a decoder as forward/backward pairs. T is float in training and double where gradients are
// checked.
//
// Activations are row-major, one row a token; a batch is n_sequences sequences of equal length, one after the
// other. A backward function *adds* to gradients of parameters and, unless it says otherwise, *writes* those
// of its input. Sums over tokens run in a fixed order: no result depends on the number of threads. Nothing
// allocates; callers give scratch and checked sizes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "elms/model_config.hpp"
#include "elms/thread_pool.hpp"
#include "elms/types.hpp"

namespace elms::inline v0::offline::train {

/// y [n, d] = rows of table [n_vocab, d]. Every token is in [0, n_vocab).
template <typename T>
void embedding_forward(ThreadPool& pool, std::span<const TokenId> tokens, std::size_t d, const T* table,
                       T* y);
/// Adds dy [n, d] to d_table [n_vocab, d].
template <typename T>
void embedding_backward(ThreadPool& pool, std::span<const TokenId> tokens, std::size_t d, const T* dy,
                        T* d_table);

/// y = x * inv_rms * weight for rows of x [n, d]; inv_rms [n] is kept for backward. Per-head norms: n =
/// tokens * heads.
template <typename T>
void rms_norm_forward(ThreadPool& pool, std::size_t n, std::size_t d, T epsilon, const T* x, const T* weight,
                      T* y, T* inv_rms);
/// dx [n, d] may be dy; d_weight [d].
template <typename T>
void rms_norm_backward(ThreadPool& pool, std::size_t n, std::size_t d, const T* x, const T* weight,
                       const T* inv_rms, const T* dy, T* dx, T* d_weight);

/// y [n, n_out] = x [n, n_in] * weight [n_out, n_in]^T + bias [n_out] (null: none).
template <typename T>
void linear_forward(ThreadPool& pool, std::size_t n, std::size_t n_in, std::size_t n_out, const T* x,
                    const T* weight, const T* bias, T* y);
/// dx is added to where add_to_dx (several layers read one input), else written; null: not needed. d_bias may
/// be null.
template <typename T>
void linear_backward(ThreadPool& pool, std::size_t n, std::size_t n_in, std::size_t n_out, const T* x,
                     const T* weight, const T* dy, T* dx, bool add_to_dx, T* d_weight, T* d_bias);

/// table [length, n_rot / 2, 2]: cosine and sine of every position and pair.
template <typename T>
void rope_table(const RopeConfig& rope, std::size_t length, T* table);
/// Turns x [n_sequences * length, n_heads, head_dim] in place; positions count from 0 in every sequence.
template <typename T>
void rope_forward(ThreadPool& pool, const RopeConfig& rope, std::size_t n_sequences, std::size_t length,
                  std::size_t n_heads, std::size_t head_dim, const T* table, T* x);
/// Turns the gradient back, in place.
template <typename T>
void rope_backward(ThreadPool& pool, const RopeConfig& rope, std::size_t n_sequences, std::size_t length,
                   std::size_t n_heads, std::size_t head_dim, const T* table, T* dx);

/// Sizes of causal attention. q and its output are [n_sequences * length, q_heads * head_dim], k and v the
/// same with kv_heads; query head h reads KV head h / (q_heads / kv_heads).
struct AttentionShape {
  std::size_t n_sequences = 0, length = 0, q_heads = 0, kv_heads = 0, head_dim = 0;

  static constexpr std::size_t kBlockRows = 64;  ///< queries whose probabilities are held at a time
  /// Elements of scratch for either direction: probabilities are computed again in backward, block by block.
  [[nodiscard]] std::size_t scratch_elems() const noexcept {
    return n_sequences * kv_heads * 2 * kBlockRows * length;
  }
};
template <typename T>
void attention_forward(ThreadPool& pool, const AttentionShape& shape, const T* q, const T* k, const T* v,
                       T* y, T* scratch);
template <typename T>
void attention_backward(ThreadPool& pool, const AttentionShape& shape, const T* q, const T* k, const T* v,
                        const T* dy, T* dq, T* dk, T* dv, T* scratch);

/// y [n] = silu(gate) * up.
template <typename T>
void swiglu_forward(ThreadPool& pool, std::size_t n, const T* gate, const T* up, T* y);
/// d_gate may be dy.
template <typename T>
void swiglu_backward(ThreadPool& pool, std::size_t n, const T* gate, const T* up, const T* dy, T* d_gate,
                     T* d_up);

inline constexpr TokenId kIgnoredTarget = -1;  ///< a position without loss

/// Mean of -log softmax(logits)[target] over the targets [n] that are not ignored; 0 when all are. d_logits
/// [n, n_vocab] receives its gradient: null for none, or logits itself. row_loss [n] is scratch.
template <typename T>
double cross_entropy(ThreadPool& pool, std::span<const TokenId> targets, std::size_t n_vocab, const T* logits,
                     T* d_logits, double* row_loss);
/// The same with a weight for every target, sum(weights[i] * -log softmax(logits)[target]); those of ignored
/// ones count nothing.
template <typename T>
double weighted_cross_entropy(ThreadPool& pool, std::span<const TokenId> targets, const T* weights,
                              std::size_t n_vocab, const T* logits, T* d_logits, double* row_loss);
/// weights [n] under which every group of `group` neighbouring targets (a row of a batch) counts the same and
/// the sum is a mean, however many targets of a group are ignored; a group without any counts nothing. n is a
/// multiple of group.
template <typename T>
void equal_weights(std::span<const TokenId> targets, std::size_t group, T* weights);
/// Mean over n rows of KL(softmax(teacher) || softmax(logits)); otherwise as cross_entropy.
template <typename T>
double kl_divergence(ThreadPool& pool, std::size_t n, std::size_t n_vocab, const T* teacher, const T* logits,
                     T* d_logits, double* row_loss);

/// scores [n_sequences, n_units]: sum of activation * gradient over a sequence's tokens and a unit's values,
/// that is the derivative of the loss by a gate on the unit. Activations are [n_sequences * length, n_units *
/// unit_size].
template <typename T>
void unit_gradients(ThreadPool& pool, std::size_t n_sequences, std::size_t length, std::size_t n_units,
                    std::size_t unit_size, const T* activation, const T* gradient, T* scores);

}  // namespace elms::inline v0::offline::train
