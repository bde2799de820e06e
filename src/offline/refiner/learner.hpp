// What the stages of a refiner's training share: parameters, gradients, optimiser and activations.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "elms/offline/refiner_training.hpp"
#include "offline/refiner/refiner_file.hpp"
#include "offline/refiner/train_encoder.hpp"
#include "offline/train/adamw.hpp"
#include "offline/train/run.hpp"

namespace elms::inline v0::offline::refiner {

class EncoderLearner : public train::Learner {
 public:
  std::vector<train::RunTensor> run_tensors() override;
  std::size_t n_parameters() const override { return model_.layout.size(); }

 protected:
  /// Trains `tensors` of the model, which lie one after the other.
  EncoderLearner(const RefinerTrainingOptions& options, RefinerModel& model,
                 std::span<const train::ParameterTensor> tensors, std::shared_ptr<ThreadPool> pool)
      : options_(options), model_(model), tensors_(tensors), pool_(std::move(pool)) {}
  /// Takes memory for batches of at most max_tokens. kOutOfMemory.
  Status prepare(std::size_t max_tokens);

  [[nodiscard]] const float* params() const noexcept { return model_.params.data(); }
  [[nodiscard]] Dropout step_dropout(std::uint64_t step) const noexcept;
  void forward(const PackedBatch& batch, Branch branch, const Dropout& dropout = {}) noexcept {
    encoder_->forward(*pool_, model_.layout, params(), batch, branch, dropout);
  }
  void backward(const PackedBatch& batch, Branch branch, const Dropout& dropout,
                std::size_t first_layer) noexcept {
    encoder_->backward(*pool_, model_.layout, params(), batch, branch, dropout, first_layer,
                       gradients_.data());
  }
  /// One step of AdamW with the gradient's norm clipped; gradients become zeros.
  void optimise(std::uint64_t step, double rate) noexcept;

  const RefinerTrainingOptions& options_;
  RefinerModel& model_;
  std::span<const train::ParameterTensor> tensors_;
  std::shared_ptr<ThreadPool> pool_;
  std::optional<TrainEncoder<float>> encoder_;
  detail::Buffer<float> gradients_;  ///< [layout.size()]

 private:
  [[nodiscard]] std::size_t begin() const noexcept { return tensors_.front().offset; }
  [[nodiscard]] std::size_t size() const noexcept {
    return tensors_.back().offset + tensors_.back().size() - begin();
  }
  std::optional<train::AdamW> adam_;
};

/// A learner of masked tokens; the data set must outlive it.
[[nodiscard]] Result<std::unique_ptr<train::Learner>> masked_lm_learner(const RefinerTrainingOptions& options,
                                                                        RefinerModel& model,
                                                                        const train::Dataset& dataset,
                                                                        std::shared_ptr<ThreadPool> pool);

struct ScoreData;
[[nodiscard]] Result<std::unique_ptr<train::Learner>> score_learner(const RefinerTrainingOptions& options,
                                                                    RefinerModel& model,
                                                                    const ScoreData& data,
                                                                    std::shared_ptr<ThreadPool> pool);
/// On the test pairs of the data.
[[nodiscard]] Result<std::vector<KeepQuality>> measure_keeping(const RefinerModel& model,
                                                               const ScoreData& data, ThreadPool& pool);

}  // namespace elms::inline v0::offline::refiner
