#include "offline/compare/layer_removal.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "offline/train/decoder.hpp"

namespace elms::inline v0::offline {

namespace {

constexpr std::size_t kRemovalBatchTokens = 1024;

double cosine(const float* a, const float* b, std::size_t n) {
  double ab = 0.0, aa = 0.0, bb = 0.0;
  for (std::size_t i = 0; i < n; ++i) {
    ab += static_cast<double>(a[i]) * static_cast<double>(b[i]);
    aa += static_cast<double>(a[i]) * static_cast<double>(a[i]);
    bb += static_cast<double>(b[i]) * static_cast<double>(b[i]);
  }
  return aa > 0.0 && bb > 0.0 ? ab / std::sqrt(aa * bb) : 1.0;
}

}  // namespace

Result<double> loss_with_layers(ThreadPool& pool, const MemoryModel& model, const TokenWindows& windows,
                                const std::vector<std::int32_t>& kept) {
  ELMS_ASSIGN_OR_RETURN(const MemoryModel part, with_layers_kept(model, kept));
  const WindowBatches batches(windows, kRemovalBatchTokens);
  ELMS_ASSIGN_OR_RETURN(auto decoder,
                        train::TrainDecoder<float>::create(part.config(), batches.shape(),
                                                           train::ActivationMemory::kRecompute));
  double nll = 0.0;
  for (std::size_t i = 0; i < batches.size(); ++i) {
    const WindowBatches::Batch batch = batches.at(i);
    decoder.forward(pool, part.layout, part.params.data(), batch.tokens);
    nll += static_cast<double>(batch.n_predicted) *
           train::cross_entropy<float>(pool, batch.targets, static_cast<std::size_t>(part.config().n_vocab),
                                       decoder.logits().data(), nullptr, decoder.row_loss());
  }
  return nll / static_cast<double>(windows.n_predicted());
}

Result<std::vector<std::int32_t>> removal_order_by_loss(ThreadPool& pool, const MemoryModel& model,
                                                        const TokenWindows& windows) {
  std::vector<std::int32_t> kept(model.config().layers.size()), removed;
  std::iota(kept.begin(), kept.end(), 0);
  while (kept.size() > 1) {
    double least = std::numeric_limits<double>::infinity();
    std::size_t chosen = 0;
    for (std::size_t i = 0; i < kept.size(); ++i) {
      std::vector<std::int32_t> without = kept;
      without.erase(without.begin() + static_cast<std::ptrdiff_t>(i));
      ELMS_ASSIGN_OR_RETURN(const double loss, loss_with_layers(pool, model, windows, without));
      if (loss < least) {
        least = loss;
        chosen = i;
      }
    }
    removed.push_back(kept[chosen]);
    kept.erase(kept.begin() + static_cast<std::ptrdiff_t>(chosen));
  }
  return removed;
}

Result<std::vector<double>> block_influence(ThreadPool& pool, const MemoryModel& model,
                                            const TokenWindows& windows) {
  const WindowBatches batches(windows, kRemovalBatchTokens);
  ELMS_ASSIGN_OR_RETURN(auto decoder,
                        train::TrainDecoder<float>::create(model.config(), batches.shape(),
                                                           train::ActivationMemory::kRecompute));
  const auto d = static_cast<std::size_t>(model.config().d_model);
  std::vector<double> influence(model.config().layers.size(), 0.0);
  std::size_t n_rows = 0;
  for (std::size_t b = 0; b < batches.size(); ++b) {
    const WindowBatches::Batch batch = batches.at(b);
    decoder.forward(pool, model.layout, model.params.data(), batch.tokens);
    const std::size_t rows = batch.n_windows * windows.length;
    n_rows += rows;
    for (std::size_t layer = 0; layer < influence.size(); ++layer) {
      const float* x = decoder.layer_input(layer).data();
      const float* y = decoder.layer_input(layer + 1).data();
      for (std::size_t r = 0; r < rows; ++r) influence[layer] += 1.0 - cosine(x + r * d, y + r * d, d);
    }
  }
  for (double& value : influence) value /= static_cast<double>(n_rows);
  return influence;
}

}  // namespace elms::inline v0::offline
