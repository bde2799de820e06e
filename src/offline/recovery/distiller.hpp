// The full model as the teacher of its levels: one forward pass of it for each batch, however many levels learn from it.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "elms/detail/buffer.hpp"
#include "elms/thread_pool.hpp"
#include "offline/train/dataset.hpp"
#include "offline/train/decoder.hpp"

namespace elms::inline v0::offline {

/// Used by one thread. Gradients are added to.
class Distiller {
 public:
  /// For models of `config` and their levels. kOutOfMemory, kInvalidArgument.
  [[nodiscard]] static Result<Distiller> create(const ModelConfig& config, train::BatchShape shape,
                                                std::shared_ptr<ThreadPool> pool);

  /// Computes the teacher's logits of a batch, which stay for the calls that follow. With gradients: also its
  /// cross-entropy on the batch's targets, and the gradient of that; otherwise returns 0.
  double teach(const train::ParameterLayout& layout, std::span<const float> params, const train::TokenBatch& batch,
               float* gradients = nullptr);

  /// KL of a level to the teacher's probabilities, mean over all positions but padding, plus cross_entropy_weight times the
  /// cross-entropy. `gradients` [layout.size()] may be null.
  double learn(const train::ParameterLayout& layout, std::span<const float> params, const train::TokenBatch& batch,
               double cross_entropy_weight, float* gradients);

  [[nodiscard]] train::TrainDecoder<float>& decoder() noexcept { return decoder_; }
  /// Of the current batch: positions that are no padding.
  [[nodiscard]] std::size_t n_counted() const noexcept { return n_counted_; }

 private:
  explicit Distiller(train::TrainDecoder<float> decoder) : decoder_(std::move(decoder)) {}
  void count_positions(const train::TokenBatch& batch);
  double keep_counted(std::size_t n_vocab, float* gradient);

  train::TrainDecoder<float> decoder_;
  std::shared_ptr<ThreadPool> pool_;
  detail::Buffer<float> teacher_logits_;  ///< [n_tokens, n_vocab]
  detail::Buffer<float> scratch_;         ///< likewise, once cross-entropy is asked for
  std::vector<bool> counted_;             ///< [n_tokens]
  std::size_t n_counted_ = 0;
};

/// For each position of rows of `length` tokens: whether it is no padding, that is not behind the row's last target.
[[nodiscard]] std::vector<bool> counted_positions(const train::TokenBatch& batch, std::size_t length);

}  // namespace elms::inline v0::offline
