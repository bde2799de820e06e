// Which slices of a layer are legal, and the plainest ladder of levels: the same share of every layer.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "elms/detail/cost.hpp"
#include "elms/detail/error.hpp"
#include "elms/level.hpp"
#include "elms/model_config.hpp"

namespace elms::inline v0::detail {

/// Step in which the units of a layer may be cut.
struct SliceRules {
  std::int32_t ff_step = 32;   ///< FFN units; the full d_ff is always legal too
  bool cut_heads = true;       ///< false where heads do not fall on quantisation blocks
};

/// d_ff is cut in whole 32-blocks where the down projection is quantised; a float model that is too small for such
/// steps is cut in steps of 4.
[[nodiscard]] inline SliceRules slice_rules(const ModelConfig& config, bool quantised) noexcept {
  SliceRules rules;
  if (!quantised) {
    const bool small = std::any_of(config.layers.begin(), config.layers.end(),
                                   [](const LayerShape& layer) { return layer.ff < 1024 || layer.ff % 32 != 0; });
    if (small) rules.ff_step = 4;
  } else {
    rules.cut_heads = config.head_dim % 32 == 0;
  }
  return rules;
}

/// ok, or why `slice` cannot be cut out of `full`. With grouped-query attention every KV head stays; with plain
/// multi-head attention the unit is the head with its K and V.
[[nodiscard]] inline Status check_slice(const LayerShape& full, const LayerShape& slice, const SliceRules& rules) {
  const bool grouped = full.q_heads != full.kv_heads;
  const bool heads_legal = grouped ? slice.kv_heads == full.kv_heads && slice.q_heads > 0 &&
                                         slice.q_heads <= full.q_heads && slice.q_heads % full.kv_heads == 0
                                   : slice.kv_heads == slice.q_heads && slice.q_heads > 0 && slice.q_heads <= full.q_heads;
  if (!heads_legal || (!rules.cut_heads && slice.q_heads != full.q_heads)) {
    return invalid_argument(slice.q_heads, " query and ", slice.kv_heads, " KV heads cannot be cut out of ",
                            full.q_heads, " and ", full.kv_heads);
  }
  if (slice.ff <= 0 || slice.ff > full.ff || (slice.ff != full.ff && slice.ff % rules.ff_step != 0)) {
    return invalid_argument(slice.ff, " FFN units cannot be cut out of ", full.ff, " in steps of ", rules.ff_step);
  }
  return {};
}

/// The slice of a layer that keeps the share f of its query heads and of its FFN units, rounded to legal counts.
[[nodiscard]] inline LayerShape uniform_slice(const LayerShape& full, double f, const SliceRules& rules) noexcept {
  LayerShape slice = full;
  const std::int32_t group = full.q_heads / full.kv_heads;
  if (rules.cut_heads) {
    if (group == 1) {
      slice.q_heads = slice.kv_heads = std::clamp(static_cast<std::int32_t>(std::lround(f * full.q_heads)), 1, full.q_heads);
    } else {
      slice.q_heads = full.kv_heads * std::clamp(static_cast<std::int32_t>(std::lround(f * group)), 1, group);
    }
  }
  if (f < 1.0) {
    const auto steps = static_cast<std::int32_t>(f * full.ff / rules.ff_step);
    slice.ff = std::min(full.ff, std::max(1, steps) * rules.ff_step);
  }
  return slice;
}

/// The targets that a ladder has unless somebody asks for others.
[[nodiscard]] inline std::vector<double> default_cost_targets() {
  return {0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0};
}

/// Makes levels out of slices: cost computed, equal neighbours dropped, the full model last. `slices_for(target)`
/// returns the slices of one target; targets ascend.
template <typename SlicesFor>
[[nodiscard]] std::vector<Level> make_levels(const CostModel& cost, const ModelConfig& config,
                                             std::span<const double> targets, SlicesFor&& slices_for) {
  std::vector<Level> levels;
  const auto add = [&](std::vector<LayerShape> layers) {
    if (!levels.empty() && levels.back().layers == layers) return;
    Level level{cost.cost_share(layers), cost.bytes_per_token(layers), std::move(layers)};
    levels.push_back(std::move(level));
  };
  for (double target : targets) {
    if (target < 1.0) add(slices_for(target));
  }
  add(config.layers);
  return levels;
}

/// Levels that keep the same share of every layer. Each costs at most its target; where even the smallest slice costs
/// more (output head, KV heads), the level is that slice, under its real cost.
[[nodiscard]] inline std::vector<Level> uniform_levels(const CostModel& cost, const ModelConfig& config,
                                                       std::span<const double> targets, const SliceRules& rules) {
  constexpr int kSteps = 2000;
  const auto slices_at = [&](double f) {
    std::vector<LayerShape> layers;
    layers.reserve(config.layers.size());
    for (const LayerShape& full : config.layers) layers.push_back(uniform_slice(full, f, rules));
    return layers;
  };
  return make_levels(cost, config, targets, [&](double target) {
    int low = 0, high = kSteps - 1;  // cost grows with f: the largest f whose cost stays below the target
    while (low < high) {
      const int middle = (low + high + 1) / 2;
      if (cost.cost_share(slices_at(middle / double{kSteps})) <= target) {
        low = middle;
      } else {
        high = middle - 1;
      }
    }
    return slices_at(low / double{kSteps});
  });
}

}  // namespace elms::inline v0::detail
