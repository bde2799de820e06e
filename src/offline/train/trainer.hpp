// Steps of training: batches through the decoder, gradients into the optimiser; and losses on rows kept
// apart.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "elms/offline/training.hpp"
#include "offline/train/adamw.hpp"
#include "offline/train/checkpoint.hpp"
#include "offline/train/dataset.hpp"
#include "offline/train/decoder.hpp"

namespace elms::inline v0::offline::train {

/// Sizes of a step (see TrainingOptions).
struct StepShape {
  BatchShape batch;
  std::size_t accumulate = 1;
  double clip_norm = 1.0;
  LossBalance balance = LossBalance::kTokens;
};

/// Parameters, gradients, moments and activations of one run. The pool must outlive it. Used by one thread at
/// a time.
class Trainer {
 public:
  /// kOutOfMemory, kInvalidArgument.
  [[nodiscard]] static Result<Trainer> create(ParameterLayout layout, detail::Buffer<float> params,
                                              const StepShape& shape, const AdamWOptions& adam,
                                              ActivationMemory memory, std::shared_ptr<ThreadPool> pool);

  /// Takes step `step` (from 0) on batches step * accumulate and following. Returns the mean loss of its
  /// targets before it, balanced as asked. A batch is as good as one of `accumulate` times the rows.
  double take_step(const Dataset& dataset, std::uint64_t step, double rate);
  /// The same on batches given: `accumulate` of them.
  double take_step(std::span<const TokenBatch> batches, std::uint64_t step, double rate) noexcept;

  /// Mean loss over the validation rows of one source, at most max_rows; `n_tokens` receives how many were
  /// predicted.
  double validate(const Dataset& dataset, const DataSourceStatistics& source, std::size_t max_rows,
                  std::size_t& n_tokens);

  [[nodiscard]] const ParameterLayout& layout() const noexcept { return layout_; }
  [[nodiscard]] std::span<const float> params() const noexcept { return params_; }
  /// Parameters and moments, for checkpoints.
  [[nodiscard]] std::vector<RunTensor> run_tensors();

 private:
  Trainer(ParameterLayout layout, detail::Buffer<float> params, const StepShape& shape, AdamW adam,
          TrainDecoder<float> decoder, std::shared_ptr<ThreadPool> pool)
      : layout_(std::move(layout)),
        params_(std::move(params)),
        shape_(shape),
        adam_(std::move(adam)),
        decoder_(std::move(decoder)),
        pool_(std::move(pool)),
        batches_(shape.accumulate),
        targets_(shape.accumulate * shape.batch.n_tokens()),
        weights_(targets_.size()) {}

  /// Sets weights_ to how much each token of the step's batches counts; all together make 1, or 0 without
  /// targets.
  void weigh(std::span<const TokenBatch> batches) noexcept;
  /// Adds the gradient of the batch's weighted loss; returns that loss.
  double accumulate_gradient(const TokenBatch& batch, const float* weights) noexcept;

  ParameterLayout layout_;
  detail::Buffer<float> params_, gradients_;
  StepShape shape_;
  AdamW adam_;
  TrainDecoder<float> decoder_;
  std::shared_ptr<ThreadPool> pool_;
  std::vector<TokenBatch> batches_;  ///< [accumulate]
  std::vector<TokenId> targets_;     ///< [accumulate, n_sequences, length]: of the step's batches
  std::vector<float> weights_;       ///< the same: how much each counts
  TokenBatch valid_batch_, valid_row_;
};

}  // namespace elms::inline v0::offline::train
