// How much of each layer a level keeps.
#pragma once

#include <array>
#include <span>
#include <vector>

#include "elms/detail/cost.hpp"
#include "elms/detail/ladder.hpp"
#include "elms/level.hpp"
#include "elms/offline/importance.hpp"

namespace elms::inline v0::offline {

/// Levels by competition between layers: steps of units (a rank of query heads, ff_step FFN units) of all
/// layers enter in the order of their standardised importance; a level is the longest beginning of that order
/// that its cost target allows. Every layer keeps its first rank of heads and its first step of FFN units.
/// `importance` is in the new order.
[[nodiscard]] std::vector<Level> global_levels(const detail::CostModel& cost, const ModelConfig& config,
                                               std::span<const double> targets,
                                               const detail::SliceRules& rules, const Importance& importance);

/// What a level may be without a search, each at most `target`: the same share of every layer, and what
/// global_levels gives.
[[nodiscard]] std::array<std::vector<LayerShape>, 2> simple_cuts(const detail::CostModel& cost,
                                                                 const ModelConfig& config, double target,
                                                                 const detail::SliceRules& rules,
                                                                 const Importance& importance);

}  // namespace elms::inline v0::offline
