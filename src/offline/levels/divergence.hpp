// How far the slices of a model are from the whole of it.
#pragma once

#include <cstddef>
#include <span>

#include "offline/levels/memory_model.hpp"
#include "offline/levels/windows.hpp"

namespace elms::inline v0::offline {

/// Mean KL(full || sliced) of the next token's distribution, in nats, over calibration windows. The model's
/// units lie in their order of importance. Keeps references to pool and model. One thread.
class DivergenceMeter {
 public:
  /// Runs the full model. At least one window; they all are one batch.
  [[nodiscard]] static Result<DivergenceMeter> create(ThreadPool& pool, const MemoryModel& model,
                                                      const TokenWindows& windows);

  /// Of legal slices, one for each layer. Layers are computed from the first on that differs from the slices
  /// measured before: who goes from the last layers to the first ones waits half as long.
  [[nodiscard]] double measure(std::span<const LayerShape> slices);

  [[nodiscard]] std::size_t n_measured() const noexcept { return n_measured_; }

 private:
  DivergenceMeter(ThreadPool& pool, const MemoryModel& model, train::TrainDecoder<float> decoder)
      : pool_(&pool), model_(&model), decoder_(std::move(decoder)) {}

  ThreadPool* pool_;
  const MemoryModel* model_;
  train::TrainDecoder<float> decoder_;
  std::vector<TokenId> tokens_;
  detail::Buffer<float> teacher_;     ///< [n_tokens, n_vocab]
  detail::Buffer<float> params_;      ///< of the slices; as large as the whole model
  std::vector<LayerShape> measured_;  ///< what the decoder has computed last
  std::size_t n_measured_ = 0;
};

}  // namespace elms::inline v0::offline
