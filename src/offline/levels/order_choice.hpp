// Which order of units a search makes the best levels of.
#pragma once

#include <span>
#include <vector>

#include "elms/detail/cost.hpp"
#include "elms/detail/ladder.hpp"
#include "elms/offline/importance.hpp"
#include "elms/offline/progress.hpp"
#include "offline/levels/memory_model.hpp"
#include "offline/levels/windows.hpp"

namespace elms::inline v0::offline {

struct OrderedLevels {
  Importance importance;  ///< in the file's order
  UnitOrder order;
  std::vector<Level> levels;  ///< of the model in that order
};

/// What levels are searched with.
struct LevelInputs {
  const MemoryModel& model;  ///< in the file's order
  const detail::CostModel& cost;
  const detail::SliceRules& rules;
  std::span<const double> targets;  ///< ascending
  const TokenWindows& windows;      ///< that levels are compared on
  ThreadPool& pool;
  const ProgressCallback& progress;
};

/// Searched levels in the order of the importance by which a model that is cut without a search is nearest to
/// the full one: least KL, in the geometric mean over the targets, of the better one of the simple cuts. No
/// one importance is best for every model: activations times gradients know what the loss loses by one unit,
/// but not that units share work; fluctuation knows neither the loss, nor is it misled by a small gradient.
[[nodiscard]] Result<OrderedLevels> best_order(const LevelInputs& inputs,
                                               std::vector<Importance> importances);

}  // namespace elms::inline v0::offline
