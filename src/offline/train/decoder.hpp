// A whole decoder, forward and backward, over batches of equally long sequences.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "elms/detail/buffer.hpp"
#include "elms/status.hpp"
#include "elms/thread_pool.hpp"
#include "elms/types.hpp"
#include "offline/train/ops.hpp"
#include "offline/train/parameters.hpp"

namespace elms::inline v0::offline::train {

/// Shape of the batches of one TrainDecoder.
struct BatchShape {
  std::size_t n_sequences = 0, length = 0;
  [[nodiscard]] std::size_t n_tokens() const noexcept { return n_sequences * length; }
};

enum class ActivationMemory : unsigned char {
  kKeepAll,    ///< of every layer
  kRecompute,  ///< only the input of every layer; the rest is computed again in backward (about a third more
               ///< work)
};

/// Gradient of the loss by a gate on every unit, a row for each sequence (see unit_gradients).
template <typename T>
struct UnitGradients {
  std::vector<std::vector<T>>
      heads;  ///< [n_layers][n_sequences * q_heads], heads group by group as in the file
  std::vector<std::vector<T>> ffn_units;  ///< [n_layers][n_sequences * ff]
};

/// The buffers of one forward and backward pass. T is float in training and double where gradients are
/// checked. `params` and `gradients` are arrays that `layout` describes. Used by one thread at a time.
/// Nothing allocates after create, except for unit gradients.
template <typename T>
class TrainDecoder {
 public:
  /// For models of `config`, or of smaller layers (levels). kOutOfMemory, kInvalidArgument.
  [[nodiscard]] static Result<TrainDecoder> create(const ModelConfig& config, BatchShape shape,
                                                   ActivationMemory memory = ActivationMemory::kKeepAll);

  /// Computes logits() [n_tokens, n_vocab] of tokens [n_sequences * length], which must lie inside the
  /// vocabulary. Layers before first_layer, and the embedding, are those of the pass before: their parameters
  /// and the tokens must not have changed.
  void forward(ThreadPool& pool, const ParameterLayout& layout, const T* params,
               std::span<const TokenId> tokens, std::size_t first_layer = 0) noexcept;

  // The same in pieces, for those who look at the residual stream on the way, or change parameters there:
  // embed, then of every layer both blocks. Layers of one pass may come from different layouts. logits() stay
  // as they are.
  void embed(ThreadPool& pool, const ParameterLayout& layout, const T* params,
             std::span<const TokenId> tokens) noexcept;
  void attention_block(ThreadPool& pool, const ParameterLayout& layout, const T* params,
                       std::size_t i) noexcept;
  void ffn_block(ThreadPool& pool, const ParameterLayout& layout, const T* params, std::size_t i) noexcept;
  /// The residual stream [n_tokens, d_model] between layer i's blocks. With kRecompute: only of the latest
  /// layer.
  [[nodiscard]] std::span<const T> layer_middle(std::size_t i) const noexcept {
    const Activations& a = activations_[memory_ == ActivationMemory::kKeepAll ? i : 0];
    return {a.middle.data(), a.middle.size()};
  }

  [[nodiscard]] std::span<T> logits() noexcept { return {logits_.data(), logits_.size()}; }
  /// The residual stream [n_tokens, d_model] before layer i; i == n_layers: behind the last one.
  [[nodiscard]] std::span<const T> layer_input(std::size_t i) const noexcept {
    return {inputs_[i].data(), inputs_[i].size()};
  }
  /// Scratch for losses: [n_tokens].
  [[nodiscard]] double* row_loss() noexcept { return row_loss_.data(); }

  /// After forward with the same arguments, and with logits() overwritten by the gradient of the loss by
  /// them: adds to gradients [layout.size()]. `units`, when not null, receives the gradients of gates on all
  /// units.
  void backward(ThreadPool& pool, const ParameterLayout& layout, const T* params,
                std::span<const TokenId> tokens, T* gradients, UnitGradients<T>* units = nullptr);

  [[nodiscard]] BatchShape shape() const noexcept { return shape_; }
  [[nodiscard]] std::size_t memory_bytes() const noexcept { return memory_bytes_; }

 private:
  /// What one layer's forward pass leaves for its backward pass.
  struct Activations {
    detail::Buffer<T> normed, inv_rms;       ///< attention's input: [n, d_model], [n]
    detail::Buffer<T> raw_q, raw_k;          ///< before the per-head norms, only with qk_norm
    detail::Buffer<T> inv_rms_q, inv_rms_k;  ///< [n * heads]
    detail::Buffer<T> q, k, v, attended;     ///< [n, heads * head_dim]
    detail::Buffer<T> middle;                ///< residual stream behind attention: [n, d_model]
    detail::Buffer<T> middle_normed, middle_inv_rms;
    detail::Buffer<T> gate, up, activated;  ///< [n, ff]
  };
  /// One layer at work.
  struct Layer {
    const LayerOffsets* at;
    LayerShape shape;
    const T* params;
    [[nodiscard]] const T* param(std::size_t offset) const noexcept {
      return offset == ParameterLayout::kAbsent ? nullptr : params + offset;
    }
  };

  TrainDecoder() = default;
  Status take(detail::Buffer<T>& buffer, std::size_t n);
  Status take_activations(const ModelConfig& config, const LayerShape& largest, Activations& a);

  void layer_forward(ThreadPool& pool, const ModelConfig& config, const Layer& layer, const T* x,
                     Activations& a, T* y) noexcept;
  void attention_part_forward(ThreadPool& pool, const ModelConfig& config, const Layer& layer, const T* x,
                              Activations& a) noexcept;
  void ffn_part_forward(ThreadPool& pool, const ModelConfig& config, const Layer& layer, Activations& a,
                        T* y) noexcept;
  void head_norms_and_rope(ThreadPool& pool, const ModelConfig& config, const Layer& layer,
                           Activations& a) noexcept;
  /// gradient_ [n, d_model] of the layer's output becomes that of its input.
  void layer_backward(ThreadPool& pool, const ModelConfig& config, const Layer& layer, const T* x,
                      Activations& a, T* gradients, T* head_gates, T* ffn_gates) noexcept;
  void ffn_backward(ThreadPool& pool, const ModelConfig& config, const Layer& layer, Activations& a,
                    T* gradients, T* gates) noexcept;
  void attention_part_backward(ThreadPool& pool, const ModelConfig& config, const Layer& layer, const T* x,
                               Activations& a, T* gradients, T* gates) noexcept;
  [[nodiscard]] AttentionShape attention_shape(const ModelConfig& config,
                                               const LayerShape& layer) const noexcept;

  BatchShape shape_;
  ActivationMemory memory_ = ActivationMemory::kKeepAll;
  std::size_t memory_bytes_ = 0;
  std::vector<detail::Buffer<T>> inputs_;  ///< [n_layers + 1][n, d_model]
  std::vector<Activations> activations_;   ///< [n_layers], or one
  detail::Buffer<T> rope_;                 ///< [length, n_rot / 2, 2]
  detail::Buffer<T> normed_, inv_rms_;     ///< of the output norm
  detail::Buffer<T> logits_;
  detail::Buffer<T> gradient_;         ///< of the residual stream
  detail::Buffer<T> d_normed_;         ///< [n, d_model]
  detail::Buffer<T> d_q_, d_k_, d_v_;  ///< [n, heads * head_dim]
  detail::Buffer<T> d_attended_;
  detail::Buffer<T> d_gate_, d_up_;  ///< [n, ff]
  detail::Buffer<T> scratch_;        ///< of attention
  detail::Buffer<double> row_loss_;
};

}  // namespace elms::inline v0::offline::train
