#include "offline/allocation.hpp"

#include <algorithm>
#include <limits>
#include <numeric>

#include "offline/levels/slice_steps.hpp"

namespace elms::inline v0::offline {

namespace {

/// One growth of one layer.
struct Step {
  std::size_t layer = 0;
  bool heads = false;
  double score = 0.0;
};

double mean(const std::vector<float>& scores, std::size_t begin, std::size_t end) {
  return std::accumulate(scores.begin() + static_cast<std::ptrdiff_t>(begin),
                         scores.begin() + static_cast<std::ptrdiff_t>(end), 0.0) /
         static_cast<double>(end - begin);
}

/// Scores of ranks 1, 2 ... of the query heads: the mean over the heads of that rank in every group. Rank 0
/// always stays.
void add_head_steps(const LayerShape& full, std::size_t layer, const std::vector<float>& scores,
                    std::vector<Step>& steps) {
  const bool grouped = full.q_heads != full.kv_heads;
  const std::int32_t groups = grouped ? full.kv_heads : 1;
  const std::int32_t ranks = full.q_heads / groups;
  double lowest = std::numeric_limits<double>::infinity();
  for (std::int32_t rank = 1; rank < ranks; ++rank) {
    double sum = 0.0;
    for (std::int32_t g = 0; g < groups; ++g) sum += scores[static_cast<std::size_t>(g * ranks + rank)];
    lowest = std::min(lowest, sum / groups);  // a later rank never enters before an earlier one
    steps.push_back({layer, true, lowest});
  }
}

void add_ffn_steps(const LayerShape& full, std::size_t layer, std::int32_t ff_step,
                   const std::vector<float>& scores, std::vector<Step>& steps) {
  for (std::int32_t begin = ff_step; begin < full.ff; begin += ff_step) {
    const std::int32_t end = std::min(full.ff, begin + ff_step);
    steps.push_back(
        {layer, false, mean(scores, static_cast<std::size_t>(begin), static_cast<std::size_t>(end))});
  }
}

}  // namespace

std::vector<Level> global_levels(const detail::CostModel& cost, const ModelConfig& config,
                                 std::span<const double> targets, const detail::SliceRules& rules,
                                 const Importance& importance) {
  const Importance scores = standardised(importance);
  std::vector<Step> steps;
  std::vector<LayerShape> slices;
  for (std::size_t layer = 0; layer < config.layers.size(); ++layer) {
    const LayerShape& full = config.layers[layer];
    slices.push_back(detail::uniform_slice(full, 0.0, rules));
    if (rules.cut_heads) add_head_steps(full, layer, scores.heads[layer], steps);
    add_ffn_steps(full, layer, rules.ff_step, scores.ffn_units[layer], steps);
  }
  std::stable_sort(steps.begin(), steps.end(),
                   [](const Step& a, const Step& b) { return a.score > b.score; });

  auto next = steps.begin();
  return detail::make_levels(cost, config, targets, [&](double target) {
    while (next != steps.end()) {
      std::vector<LayerShape> grown = slices;
      const UnitKind kind = next->heads ? UnitKind::kHeads : UnitKind::kFfnUnits;
      grow_slice(config.layers[next->layer], kind, rules, grown[next->layer]);
      if (cost.cost_share(grown) > target) break;
      slices = std::move(grown);
      ++next;
    }
    return slices;
  });
}

std::array<std::vector<LayerShape>, 2> simple_cuts(const detail::CostModel& cost, const ModelConfig& config,
                                                   double target, const detail::SliceRules& rules,
                                                   const Importance& importance) {
  const std::span<const double> targets(&target, 1);
  return {detail::uniform_levels(cost, config, targets, rules).front().layers,
          global_levels(cost, config, targets, rules, importance).front().layers};
}

}  // namespace elms::inline v0::offline
