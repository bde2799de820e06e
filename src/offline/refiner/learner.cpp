#include "offline/refiner/learner.hpp"

#include "elms/detail/error.hpp"
#include "offline/random.hpp"

namespace elms::inline v0::offline::refiner {

Status EncoderLearner::prepare(std::size_t max_tokens) {
  const EncoderShape& shape = model_.layout.shape();
  const std::size_t layers = std::max(shape.n_layers, shape.n_shared_layers + shape.n_decision_layers);
  ELMS_ASSIGN_OR_RETURN(encoder_, TrainEncoder<float>::create(shape, max_tokens, layers));
  ELMS_ASSIGN_OR_RETURN(gradients_, detail::Buffer<float>::zeroed(model_.layout.size()));
  const TrainingOptions& run = options_.run;
  ELMS_ASSIGN_OR_RETURN(
      adam_, train::AdamW::create(tensors_, {run.beta1, run.beta2, run.epsilon, run.weight_decay}));
  for (const train::ParameterTensor& tensor : tensors_) {
    if (tensor.offset == model_.layout.token_embedding)
      adam_->slow_down(tensor.offset - begin(), tensor.size(), options_.embedding_rate_share);
  }
  return {};
}

std::vector<train::RunTensor> EncoderLearner::run_tensors() {
  std::vector<train::RunTensor> tensors;
  const std::span<float> all(model_.params);
  train::add_tensors("param.", tensors_, all.subspan(begin(), size()), tensors);
  train::add_tensors("adam.m.", tensors_, adam_->mean(), tensors);
  train::add_tensors("adam.v.", tensors_, adam_->variance(), tensors);
  return tensors;
}

Dropout EncoderLearner::step_dropout(std::uint64_t step) const noexcept {
  return {options_.dropout, mixed(mixed(options_.run.seed) + step)};
}

void EncoderLearner::optimise(std::uint64_t step, double rate) noexcept {
  const std::span<float> gradients = std::span<float>(gradients_).subspan(begin(), size());
  double scale = 1.0;
  if (options_.run.clip_norm > 0.0) {
    const double norm = adam_->norm(*pool_, gradients);
    if (norm > options_.run.clip_norm) scale = options_.run.clip_norm / norm;
  }
  adam_->step(*pool_, step + 1, rate, scale, gradients,
              std::span<float>(model_.params).subspan(begin(), size()));
}

}  // namespace elms::inline v0::offline::refiner
