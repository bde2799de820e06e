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

Result<Distiller> Distiller::create(const ModelConfig& config, train::BatchShape shape,
                                    std::shared_ptr<ThreadPool> pool, LossBalance balance) {
  ELMS_ASSIGN_OR_RETURN(auto decoder, train::TrainDecoder<float>::create(config, shape));
  Distiller distiller(std::move(decoder));
  distiller.pool_ = std::move(pool);
  distiller.balance_ = balance;
  const std::size_t n_logits = distiller.decoder_.logits().size();
  ELMS_ASSIGN_OR_RETURN(distiller.teacher_logits_, detail::Buffer<float>::uninitialized_streamed(n_logits));
  ELMS_ASSIGN_OR_RETURN(distiller.scratch_, detail::Buffer<float>::uninitialized_streamed(n_logits));
  return distiller;
}

void Distiller::count_positions(const TokenBatch& batch) {
  const std::size_t n = batch.targets.size(), length = decoder_.shape().length;
  const std::vector<bool> counted = counted_positions(batch, length);
  n_counted_ = static_cast<std::size_t>(std::count(counted.begin(), counted.end(), true));
  n_targets_ = n - static_cast<std::size_t>(
                       std::count(batch.targets.begin(), batch.targets.end(), train::kIgnoredTarget));
  counted_weights_.assign(n, 0.0f);
  for (std::size_t i = 0; i < n; ++i) {
    if (counted[i]) counted_weights_[i] = static_cast<float>(1.0 / static_cast<double>(n_counted_));
  }
  const bool by_rows = balance_ == LossBalance::kRows;
  target_weights_.resize(n);
  train::equal_weights<float>(batch.targets, by_rows ? length : n, target_weights_.data());
  learnt_weights_ = by_rows ? target_weights_ : counted_weights_;
}

double Distiller::teach(const train::ParameterLayout& layout, std::span<const float> params,
                        const TokenBatch& batch, float* gradients) {
  count_positions(batch);
  decoder_.forward(*pool_, layout, params.data(), batch.tokens);
  std::copy(decoder_.logits().begin(), decoder_.logits().end(), teacher_logits_.data());
  if (gradients == nullptr) return 0.0;
  const auto n_vocab = static_cast<std::size_t>(layout.config().n_vocab);
  float* const logits = decoder_.logits().data();
  const double loss = train::weighted_cross_entropy<float>(*pool_, batch.targets, target_weights_.data(),
                                                           n_vocab, logits, logits, decoder_.row_loss());
  decoder_.backward(*pool_, layout, params.data(), batch.tokens, gradients);
  return loss;
}

double Distiller::weigh(std::size_t n_vocab, const std::vector<float>& weights, float* gradient) {
  const std::size_t n = weights.size();
  double sum = 0.0;
  for (std::size_t i = 0; i < n; ++i) {
    sum += static_cast<double>(weights[i]) * decoder_.row_loss()[i];
    const float factor = weights[i] * static_cast<float>(n);
    if (gradient == nullptr || factor == 1.0f) continue;
    for (std::size_t v = 0; v < n_vocab; ++v) gradient[i * n_vocab + v] *= factor;
  }
  return sum;
}

StudentLoss Distiller::learn(const train::ParameterLayout& layout, std::span<const float> params,
                             const TokenBatch& batch, double cross_entropy_weight, float* gradients) {
  const auto n_vocab = static_cast<std::size_t>(layout.config().n_vocab);
  decoder_.forward(*pool_, layout, params.data(), batch.tokens);
  float* const logits = decoder_.logits().data();
  StudentLoss loss;
  if (cross_entropy_weight > 0.0) {
    loss.cross_entropy = train::weighted_cross_entropy<float>(
        *pool_, batch.targets, target_weights_.data(), n_vocab, logits, scratch_.data(), decoder_.row_loss());
  }
  const std::size_t n = learnt_weights_.size();
  train::kl_divergence<float>(*pool_, n, n_vocab, teacher_logits_.data(), logits, logits,
                              decoder_.row_loss());
  loss.kl = weigh(n_vocab, learnt_weights_, logits);
  if (cross_entropy_weight > 0.0) {
    const auto weight = static_cast<float>(cross_entropy_weight);
    for (std::size_t i = 0; i < n * n_vocab; ++i) logits[i] += weight * scratch_[i];
  }
  decoder_.backward(*pool_, layout, params.data(), batch.tokens, gradients);
  return loss;
}

StudentLoss Distiller::measure(const train::ParameterLayout& layout, std::span<const float> params,
                               const TokenBatch& batch) {
  const auto n_vocab = static_cast<std::size_t>(layout.config().n_vocab);
  decoder_.forward(*pool_, layout, params.data(), batch.tokens);
  const float* const logits = decoder_.logits().data();
  StudentLoss loss;
  loss.cross_entropy =
      train::cross_entropy<float>(*pool_, batch.targets, n_vocab, logits, nullptr, decoder_.row_loss());
  train::kl_divergence<float>(*pool_, counted_weights_.size(), n_vocab, teacher_logits_.data(), logits,
                              nullptr, decoder_.row_loss());
  loss.kl = weigh(n_vocab, counted_weights_, nullptr);
  return loss;
}

}  // namespace elms::inline v0::offline
