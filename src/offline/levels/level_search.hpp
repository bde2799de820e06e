// Levels that lose least: which layers stay wide is found by measuring.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "elms/detail/cost.hpp"
#include "elms/detail/ladder.hpp"
#include "elms/offline/importance.hpp"
#include "elms/offline/progress.hpp"
#include "offline/levels/divergence.hpp"

namespace elms::inline v0::offline {

struct LevelSearchOptions {
  std::size_t measurements_per_level = 96;  ///< at most, beside those that all levels share; tests
                                            ///< ask for few
  ProgressCallback progress;
};

/// One level for each target, widest first, each a part of the one before. A level is begun in several ways
/// (units of least importance per byte first; layers that the full model misses least first; all layers
/// alike; by standardised score), and the best beginning is improved by steps that move from one layer to
/// another at the same cost, as long as KL to the full model falls. Targets ascend; each level costs at most
/// its target, or is the narrowest that there is. `importance` is in the new order, as is the meter's model.
/// kCancelled.
[[nodiscard]] Result<std::vector<Level>> searched_levels(const detail::CostModel& cost,
                                                         const ModelConfig& config,
                                                         std::span<const double> targets,
                                                         const detail::SliceRules& rules,
                                                         const Importance& importance, DivergenceMeter& meter,
                                                         const LevelSearchOptions& options = {});

}  // namespace elms::inline v0::offline
