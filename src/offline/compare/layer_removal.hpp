// What a model loses without one of its layers.
#pragma once

#include <cstdint>
#include <vector>

#include "offline/levels/memory_model.hpp"
#include "offline/levels/windows.hpp"

namespace elms::inline v0::offline {

/// Mean negative log likelihood of the windows' tokens with only these layers.
[[nodiscard]] Result<double> loss_with_layers(ThreadPool& pool, const MemoryModel& model,
                                              const TokenWindows& windows,
                                              const std::vector<std::int32_t>& kept);

/// Layers in the order in which they go: each time the one without which the loss is least. All but one.
[[nodiscard]] Result<std::vector<std::int32_t>> removal_order_by_loss(ThreadPool& pool,
                                                                      const MemoryModel& model,
                                                                      const TokenWindows& windows);

/// [n_layers] block influence (ShortGPT, arXiv 2403.03853): mean of 1 - cos of a layer's input and output.
[[nodiscard]] Result<std::vector<double>> block_influence(ThreadPool& pool, const MemoryModel& model,
                                                          const TokenWindows& windows);

}  // namespace elms::inline v0::offline
