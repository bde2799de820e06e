#include "offline/levels/order_choice.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "offline/levels/level_search.hpp"

namespace elms::inline v0::offline {
namespace {

struct Candidate {
  OrderedLevels found;
  double log_divergence =
      std::numeric_limits<double>::infinity();  ///< sum over the levels below the full one
};

Result<Candidate> search(const LevelInputs& inputs, Importance importance) {
  const ModelConfig& config = inputs.model.config();
  Candidate candidate;
  candidate.found.order = order_units(config, importance, inputs.rules.cut_heads);
  ELMS_ASSIGN_OR_RETURN(const MemoryModel ordered, with_order(inputs.model, candidate.found.order));
  ELMS_ASSIGN_OR_RETURN(DivergenceMeter meter, DivergenceMeter::create(inputs.pool, ordered, inputs.windows));
  LevelSearchOptions options;
  options.progress = inputs.progress;
  ELMS_ASSIGN_OR_RETURN(candidate.found.levels,
                        searched_levels(inputs.cost, config, inputs.targets, inputs.rules,
                                        reordered(importance, candidate.found.order), meter, options));
  candidate.found.importance = std::move(importance);
  candidate.log_divergence = 0.0;
  constexpr double kLeast = 1e-12;
  for (const Level& level : candidate.found.levels) {
    if (level.cost_share < 1.0)
      candidate.log_divergence += std::log(std::max(kLeast, meter.measure(level.layers)));
  }
  return candidate;
}

}  // namespace

Result<OrderedLevels> best_order(const LevelInputs& inputs, std::vector<Importance> candidates) {
  Candidate best;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    ELMS_ASSIGN_OR_RETURN(Candidate candidate, search(inputs, std::move(candidates[i])));
    if (i == 0 || candidate.log_divergence < best.log_divergence) best = std::move(candidate);
  }
  return std::move(best.found);
}

}  // namespace elms::inline v0::offline
