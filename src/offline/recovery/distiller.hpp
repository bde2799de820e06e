// The full model as the teacher of its levels: one forward pass of it for each batch, however many levels
// learn from it.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "elms/detail/buffer.hpp"
#include "elms/offline/training.hpp"
#include "elms/thread_pool.hpp"
#include "offline/train/dataset.hpp"
#include "offline/train/decoder.hpp"

namespace elms::inline v0::offline {

/// Of a level on a batch, in nats: as it learns, balanced as asked; as measured, means over positions.
struct StudentLoss {
  double kl = 0.0;             ///< to the teacher's probabilities, over all positions but padding
  double cross_entropy = 0.0;  ///< over the targets; only where it counts or is measured
};

/// Used by one thread. Gradients are added to.
class Distiller {
 public:
  /// For models of `config` and their levels. By kTokens every position but padding teaches the same; by
  /// kRows only those before targets teach, and every row the same. kOutOfMemory, kInvalidArgument.
  [[nodiscard]] static Result<Distiller> create(const ModelConfig& config, train::BatchShape shape,
                                                std::shared_ptr<ThreadPool> pool,
                                                LossBalance balance = LossBalance::kTokens);

  /// Computes the teacher's logits of a batch, which stay for the calls that follow. With gradients: also its
  /// cross-entropy on the batch's targets, and the gradient of that; otherwise returns 0.
  double teach(const train::ParameterLayout& layout, std::span<const float> params,
               const train::TokenBatch& batch, float* gradients = nullptr);

  /// The gradient of KL plus cross_entropy_weight times the cross-entropy, added to `gradients`
  /// [layout.size()].
  StudentLoss learn(const train::ParameterLayout& layout, std::span<const float> params,
                    const train::TokenBatch& batch, double cross_entropy_weight, float* gradients);
  /// Both losses.
  StudentLoss measure(const train::ParameterLayout& layout, std::span<const float> params,
                      const train::TokenBatch& batch);

  [[nodiscard]] train::TrainDecoder<float>& decoder() noexcept { return decoder_; }
  /// Of the current batch: positions that are no padding.
  [[nodiscard]] std::size_t n_counted() const noexcept { return n_counted_; }
  [[nodiscard]] std::size_t n_targets() const noexcept { return n_targets_; }

 private:
  explicit Distiller(train::TrainDecoder<float> decoder) : decoder_(std::move(decoder)) {}
  void count_positions(const train::TokenBatch& batch);
  /// The weighted sum of the decoder's row losses; `gradient`, of their mean, becomes that of this sum.
  double weigh(std::size_t n_vocab, const std::vector<float>& weights, float* gradient);

  train::TrainDecoder<float> decoder_;
  LossBalance balance_ = LossBalance::kTokens;
  std::shared_ptr<ThreadPool> pool_;
  detail::Buffer<float> teacher_logits_;  ///< [n_tokens, n_vocab]
  detail::Buffer<float> scratch_;         ///< likewise, once cross-entropy is asked for
  std::vector<float> counted_weights_;    ///< [n_tokens]: all positions but padding, in equal parts of 1
  std::vector<float>
      learnt_weights_;  ///< [n_tokens]: how much a position teaches of the teacher's probabilities
  std::vector<float> target_weights_;  ///< [n_tokens]: and of its target
  std::size_t n_counted_ = 0, n_targets_ = 0;
};

/// For each position of rows of `length` tokens: whether it is no padding, that is not behind the row's last
/// target.
[[nodiscard]] std::vector<bool> counted_positions(const train::TokenBatch& batch, std::size_t length);

}  // namespace elms::inline v0::offline
