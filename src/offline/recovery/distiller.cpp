#include "offline/recovery/distiller.hpp"

#include <algorithm>
#include <utility>

#include "offline/train/ops.hpp"

namespace elms::inline v0::offline {

using train::TokenBatch;

std::vector<bool> counted_positions(const TokenBatch& batch, std::size_t length) {
  std::vector<bool> counted(batch.targets.size(), false);
  for (std::size_t begin = 0; begin + length <= counted.size(); begin += length) {
    bool seen_target = false;
    for (std::size_t i = begin + length; i-- > begin;) {
      seen_target |= batch.targets[i] != train::kIgnoredTarget;
      counted[i] = seen_target;
    }
  }
  return counted;
}

Result<Distiller> Distiller::create(const ModelConfig& config, train::BatchShape shape, std::shared_ptr<ThreadPool> pool) {
  ELMS_ASSIGN_OR_RETURN(auto decoder, train::TrainDecoder<float>::create(config, shape));
  Distiller distiller(std::move(decoder));
  distiller.pool_ = std::move(pool);
  const std::size_t n_logits = distiller.decoder_.logits().size();
  ELMS_ASSIGN_OR_RETURN(distiller.teacher_logits_, detail::Buffer<float>::uninitialized_streamed(n_logits));
  ELMS_ASSIGN_OR_RETURN(distiller.scratch_, detail::Buffer<float>::uninitialized_streamed(n_logits));
  return distiller;
}

void Distiller::count_positions(const TokenBatch& batch) {
  counted_ = counted_positions(batch, decoder_.shape().length);
  n_counted_ = static_cast<std::size_t>(std::count(counted_.begin(), counted_.end(), true));
}

double Distiller::teach(const train::ParameterLayout& layout, std::span<const float> params, const TokenBatch& batch,
                        float* gradients) {
  count_positions(batch);
  decoder_.forward(*pool_, layout, params.data(), batch.tokens);
  std::copy(decoder_.logits().begin(), decoder_.logits().end(), teacher_logits_.data());
  if (gradients == nullptr) return 0.0;
  const auto n_vocab = static_cast<std::size_t>(layout.config().n_vocab);
  const double loss = train::cross_entropy<float>(*pool_, batch.targets, n_vocab, decoder_.logits().data(),
                                                  decoder_.logits().data(), decoder_.row_loss());
  decoder_.backward(*pool_, layout, params.data(), batch.tokens, gradients);
  return loss;
}

double Distiller::keep_counted(std::size_t n_vocab, float* gradient) {
  const std::size_t n = counted_.size();
  double sum = 0.0;
  for (std::size_t i = 0; i < n; ++i) {
    if (counted_[i]) sum += decoder_.row_loss()[i];
  }
  if (n_counted_ == 0) return 0.0;
  const float scale = static_cast<float>(static_cast<double>(n) / static_cast<double>(n_counted_));
  for (std::size_t i = 0; gradient != nullptr && n_counted_ < n && i < n; ++i) {
    const float factor = counted_[i] ? scale : 0.0f;
    for (std::size_t v = 0; v < n_vocab; ++v) gradient[i * n_vocab + v] *= factor;
  }
  return sum / static_cast<double>(n_counted_);
}

double Distiller::learn(const train::ParameterLayout& layout, std::span<const float> params, const TokenBatch& batch,
                        double cross_entropy_weight, float* gradients) {
  const auto n_vocab = static_cast<std::size_t>(layout.config().n_vocab);
  decoder_.forward(*pool_, layout, params.data(), batch.tokens);
  float* const logits = decoder_.logits().data();
  double loss = 0.0;
  if (cross_entropy_weight > 0.0) {
    loss = cross_entropy_weight * train::cross_entropy<float>(*pool_, batch.targets, n_vocab, logits, scratch_.data(),
                                                              decoder_.row_loss());
  }
  float* const d_logits = gradients == nullptr ? nullptr : logits;
  train::kl_divergence<float>(*pool_, counted_.size(), n_vocab, teacher_logits_.data(), logits, d_logits, decoder_.row_loss());
  loss += keep_counted(n_vocab, d_logits);
  if (gradients == nullptr) return loss;
  if (cross_entropy_weight > 0.0) {
    const auto weight = static_cast<float>(cross_entropy_weight);
    for (std::size_t i = 0; i < counted_.size() * n_vocab; ++i) logits[i] += weight * scratch_[i];
  }
  decoder_.backward(*pool_, layout, params.data(), batch.tokens, gradients);
  return loss;
}

}  // namespace elms::inline v0::offline
