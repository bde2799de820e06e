#include "offline/levels/divergence.hpp"

#include <algorithm>
#include <utility>

#include "offline/train/units.hpp"

namespace elms::inline v0::offline {

Result<DivergenceMeter> DivergenceMeter::create(ThreadPool& pool, const MemoryModel& model,
                                                const TokenWindows& windows) {
  if (windows.n_windows() == 0)
    return detail::invalid_argument("levels: no calibration text to compare them on");
  const train::BatchShape shape{windows.n_windows(), windows.length};
  ELMS_ASSIGN_OR_RETURN(auto decoder, train::TrainDecoder<float>::create(
                                          model.config(), shape, train::ActivationMemory::kRecompute));
  DivergenceMeter meter(pool, model, std::move(decoder));
  meter.tokens_ = windows.tokens;
  ELMS_ASSIGN_OR_RETURN(meter.params_, detail::Buffer<float>::uninitialized_streamed(model.layout.size()));
  meter.decoder_.forward(pool, model.layout, model.params.data(), meter.tokens_);
  const std::span<const float> logits = meter.decoder_.logits();
  ELMS_ASSIGN_OR_RETURN(meter.teacher_, detail::Buffer<float>::uninitialized_streamed(logits.size()));
  std::copy(logits.begin(), logits.end(), meter.teacher_.data());
  meter.measured_ = model.config().layers;
  return meter;
}

double DivergenceMeter::measure(std::span<const LayerShape> slices) {
  ++n_measured_;
  const ModelConfig& config = model_->config();
  const train::ParameterLayout layout(train::with_layers(config, slices));
  const std::span<float> params = std::span<float>(params_).first(layout.size());
  train::gather_units(model_->layout, model_->params, train::first_units(config, slices), layout, params);
  const auto first = std::mismatch(slices.begin(), slices.end(), measured_.begin()).first;
  decoder_.forward(*pool_, layout, params.data(), tokens_, static_cast<std::size_t>(first - slices.begin()));
  measured_.assign(slices.begin(), slices.end());
  return train::kl_divergence<float>(*pool_, tokens_.size(), static_cast<std::size_t>(config.n_vocab),
                                     teacher_.data(), decoder_.logits().data(), nullptr, decoder_.row_loss());
}

}  // namespace elms::inline v0::offline
