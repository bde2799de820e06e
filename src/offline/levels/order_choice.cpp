#include "offline/levels/order_choice.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "offline/allocation.hpp"
#include "offline/levels/level_search.hpp"
#include "offline/progress_meter.hpp"

namespace elms::inline v0::offline {
namespace {

Result<DivergenceMeter> meter_of(const LevelInputs& inputs, const MemoryModel& ordered) {
  return DivergenceMeter::create(inputs.pool, ordered, inputs.windows);
}

/// The summed logarithms of KL at the levels that importance alone gives: of each target
/// the better one of its simple cuts.
Result<double> log_divergence(const LevelInputs& inputs, const Importance& importance,
                              const UnitOrder& order) {
  const ModelConfig& config = inputs.model.config();
  ELMS_ASSIGN_OR_RETURN(const MemoryModel ordered, with_order(inputs.model, order));
  ELMS_ASSIGN_OR_RETURN(DivergenceMeter meter, meter_of(inputs, ordered));
  const Importance scores = reordered(importance, order);
  constexpr double kLeast = 1e-12;
  ProgressMeter progress(inputs.progress, "order");
  double sum = 0.0;
  for (std::size_t i = 0; i < inputs.targets.size(); ++i) {
    if (inputs.targets[i] < 1.0) {
      double least = std::numeric_limits<double>::infinity();
      for (const auto& slices : simple_cuts(inputs.cost, config, inputs.targets[i], inputs.rules, scores)) {
        const double divergence = meter.measure(slices);  // not a number where the cut model overflows
        if (divergence < least) least = std::max(kLeast, divergence);
      }
      sum += std::log(least);
    }
    ELMS_RETURN_IF_ERROR(
        progress.report(static_cast<double>(i + 1) / static_cast<double>(inputs.targets.size())));
  }
  return sum;
}

}  // namespace

Result<OrderedLevels> best_order(const LevelInputs& inputs, std::vector<Importance> importances) {
  const ModelConfig& config = inputs.model.config();
  OrderedLevels best;
  double least = std::numeric_limits<double>::infinity();
  for (Importance& importance : importances) {
    UnitOrder order = order_units(config, importance, inputs.rules.cut_heads);
    double divergence = 0.0;
    if (importances.size() > 1) {
      ELMS_ASSIGN_OR_RETURN(divergence, log_divergence(inputs, importance, order));
    }
    if (!best.order.heads.empty() && !(divergence < least)) continue;
    least = divergence;
    best.importance = std::move(importance);
    best.order = std::move(order);
  }
  ELMS_ASSIGN_OR_RETURN(const MemoryModel ordered, with_order(inputs.model, best.order));
  ELMS_ASSIGN_OR_RETURN(DivergenceMeter meter, meter_of(inputs, ordered));
  LevelSearchOptions options;
  options.progress = inputs.progress;
  ELMS_ASSIGN_OR_RETURN(best.levels, searched_levels(inputs.cost, config, inputs.targets, inputs.rules,
                                                     reordered(best.importance, best.order), meter, options));
  return best;
}

}  // namespace elms::inline v0::offline
