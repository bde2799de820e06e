#include "offline/train/trainer.hpp"

#include <algorithm>
#include <utility>

#include "elms/detail/error.hpp"
#include "offline/train/ops.hpp"

namespace elms::inline v0::offline::train {
namespace {

std::size_t n_targets(const TokenBatch& batch) noexcept {
  return batch.targets.size() -
         static_cast<std::size_t>(std::count(batch.targets.begin(), batch.targets.end(), kIgnoredTarget));
}

}  // namespace

Result<Trainer> Trainer::create(ParameterLayout layout, detail::Buffer<float> params, const StepShape& shape,
                                const AdamWOptions& adam_options, ActivationMemory memory,
                                std::shared_ptr<ThreadPool> pool) {
  ELMS_ASSIGN_OR_RETURN(AdamW adam, AdamW::create(layout, adam_options));
  ELMS_ASSIGN_OR_RETURN(auto decoder, TrainDecoder<float>::create(layout.config(), shape.batch, memory));
  ELMS_ASSIGN_OR_RETURN(auto gradients, detail::Buffer<float>::zeroed(layout.size()));
  Trainer trainer(std::move(layout), std::move(params), shape, std::move(adam), std::move(decoder),
                  std::move(pool));
  trainer.gradients_ = std::move(gradients);
  return trainer;
}

std::vector<RunTensor> Trainer::run_tensors() {
  std::vector<RunTensor> tensors;
  add_tensors("param.", layout_, params_, tensors);
  add_tensors("adam.m.", layout_, adam_.mean(), tensors);
  add_tensors("adam.v.", layout_, adam_.variance(), tensors);
  return tensors;
}

void Trainer::weigh(std::span<const TokenBatch> batches) noexcept {
  auto end = targets_.begin();
  for (const TokenBatch& batch : batches) end = std::copy(batch.targets.begin(), batch.targets.end(), end);
  const std::size_t group = shape_.balance == LossBalance::kRows ? shape_.batch.length : targets_.size();
  equal_weights<float>(targets_, group, weights_.data());
}

double Trainer::accumulate_gradient(const TokenBatch& batch, const float* weights) noexcept {
  decoder_.forward(*pool_, layout_, params_.data(), batch.tokens);
  const std::span<float> logits = decoder_.logits();
  const double loss = weighted_cross_entropy<float>(*pool_, batch.targets, weights,
                                                    static_cast<std::size_t>(layout_.config().n_vocab),
                                                    logits.data(), logits.data(), decoder_.row_loss());
  decoder_.backward(*pool_, layout_, params_.data(), batch.tokens, gradients_.data());
  return loss;
}

double Trainer::take_step(const Dataset& dataset, std::uint64_t step, double rate) {
  for (std::size_t i = 0; i < batches_.size(); ++i) {
    dataset.train_batch(step * batches_.size() + i, shape_.batch.n_sequences, batches_[i]);
  }
  return take_step(batches_, step, rate);
}

double Trainer::take_step(std::span<const TokenBatch> batches, std::uint64_t step, double rate) noexcept {
  weigh(batches);
  double loss = 0.0;
  for (std::size_t i = 0; i < batches.size(); ++i) {
    if (n_targets(batches[i]) > 0)
      loss += accumulate_gradient(batches[i], &weights_[i * shape_.batch.n_tokens()]);
  }
  double gradient_scale = 1.0;
  if (shape_.clip_norm > 0.0) {
    const double norm = adam_.norm(*pool_, gradients_);
    if (norm > shape_.clip_norm) gradient_scale = shape_.clip_norm / norm;
  }
  adam_.step(*pool_, step + 1, rate, gradient_scale, gradients_, params_);
  return loss;
}

double Trainer::validate(const Dataset& dataset, const DataSourceStatistics& source, std::size_t max_rows,
                         std::size_t& n_tokens) {
  const std::size_t n_rows = std::min(max_rows, source.n_valid_rows), per_batch = shape_.batch.n_sequences;
  double sum = 0.0;
  n_tokens = 0;
  for (std::size_t first = 0; first < n_rows; first += per_batch) {
    valid_batch_.tokens.clear();
    valid_batch_.targets.clear();
    for (std::size_t i = first; i < first + per_batch; ++i) {
      // Rows behind the last have no targets, so that they fill a batch up.
      dataset.valid_batch(i < n_rows ? source.first_valid_row + i : dataset.n_valid_rows(), 1, valid_row_);
      valid_batch_.tokens.insert(valid_batch_.tokens.end(), valid_row_.tokens.begin(),
                                 valid_row_.tokens.end());
      valid_batch_.targets.insert(valid_batch_.targets.end(), valid_row_.targets.begin(),
                                  valid_row_.targets.end());
    }
    decoder_.forward(*pool_, layout_, params_.data(), valid_batch_.tokens);
    const double mean =
        cross_entropy<float>(*pool_, valid_batch_.targets, static_cast<std::size_t>(layout_.config().n_vocab),
                             decoder_.logits().data(), nullptr, decoder_.row_loss());
    const std::size_t n = n_targets(valid_batch_);
    sum += mean * static_cast<double>(n);
    n_tokens += n;
  }
  return n_tokens == 0 ? 0.0 : sum / static_cast<double>(n_tokens);
}

}  // namespace elms::inline v0::offline::train
