#include "offline/levels/order_choice.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "offline/levels/level_search.hpp"

namespace elms::inline v0::offline {
namespace {

/// One order of units, and levels found in it.
struct Candidate {
  OrderedLevels found;
  double log_divergence =
      std::numeric_limits<double>::infinity();  ///< sum over the levels below the full one
};

Status search(const LevelInputs& inputs, const LevelSearchOptions& options, Candidate& candidate) {
  const ModelConfig& config = inputs.model.config();
  ELMS_ASSIGN_OR_RETURN(const MemoryModel ordered, with_order(inputs.model, candidate.found.order));
  ELMS_ASSIGN_OR_RETURN(DivergenceMeter meter, DivergenceMeter::create(inputs.pool, ordered, inputs.windows));
  ELMS_ASSIGN_OR_RETURN(
      candidate.found.levels,
      searched_levels(inputs.cost, config, inputs.targets, inputs.rules,
                      reordered(candidate.found.importance, candidate.found.order), meter, options));
  candidate.log_divergence = 0.0;
  constexpr double kLeast = 1e-12;
  for (const Level& level : candidate.found.levels) {
    if (level.cost_share < 1.0)
      candidate.log_divergence += std::log(std::max(kLeast, meter.measure(level.layers)));
  }
  return {};
}

}  // namespace

Result<OrderedLevels> best_order(const LevelInputs& inputs, std::vector<Importance> importances) {
  Candidate best;
  for (Importance& importance : importances) {
    Candidate candidate;
    candidate.found.order = order_units(inputs.model.config(), importance, inputs.rules.cut_heads);
    candidate.found.importance = std::move(importance);
    if (importances.size() > 1)  // how the levels begin tells the orders apart
      ELMS_RETURN_IF_ERROR(search(inputs, {0, inputs.progress}, candidate));
    if (best.found.order.heads.empty() || candidate.log_divergence < best.log_divergence)
      best = std::move(candidate);
  }
  ELMS_RETURN_IF_ERROR(search(inputs, {LevelSearchOptions().measurements_per_level, inputs.progress}, best));
  return std::move(best.found);
}

}  // namespace elms::inline v0::offline
