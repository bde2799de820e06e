// What a strategy's answer is expected to be worth: a grid that is interpolated, or a default.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>

#include "elms/slo.hpp"

namespace elms::inline v0::detail {

/// Where x lies on an ascending axis: between [below] and [below + 1] at `share`; outside the axis its
/// nearest end.
struct AxisPosition {
  std::size_t below = 0;
  double share = 0.0;
};
[[nodiscard]] inline AxisPosition find_on_axis(std::span<const float> axis, double x) noexcept {
  if (axis.size() < 2 || x <= static_cast<double>(axis.front())) return {};
  if (x >= static_cast<double>(axis.back())) return {axis.size() - 2, 1.0};
  const auto above = static_cast<std::size_t>(
      std::upper_bound(axis.begin(), axis.end(), static_cast<float>(x)) - axis.begin());
  const std::size_t below = std::min(above, axis.size() - 1) - 1;
  const double low = static_cast<double>(axis[below]), high = static_cast<double>(axis[below + 1]);
  return {below, std::clamp((x - low) / (high - low), 0.0, 1.0)};
}

/// Bilinear between the grid's points; outside them its edge, but in proportion to a keep ratio below its
/// lowest, of which it knows nothing. `grid` is valid().
[[nodiscard]] inline double interpolate(const StrategyQualities& grid, double width,
                                        double keep_ratio) noexcept {
  const AxisPosition w = find_on_axis(grid.widths, width), k = find_on_axis(grid.keep_ratios, keep_ratio);
  const std::size_t n_keep = grid.keep_ratios.size();
  const auto at = [&](std::size_t row, std::size_t column) {
    row = std::min(row, grid.widths.size() - 1);
    column = std::min(column, n_keep - 1);
    return static_cast<double>(grid.quality[row * n_keep + column]);
  };
  const double low = at(w.below, k.below) * (1.0 - k.share) + at(w.below, k.below + 1) * k.share;
  const double high = at(w.below + 1, k.below) * (1.0 - k.share) + at(w.below + 1, k.below + 1) * k.share;
  const double known = std::min(1.0, keep_ratio / static_cast<double>(grid.keep_ratios.front()));
  return (low * (1.0 - w.share) + high * w.share) * known;
}

/// Without any measurement: rises with both, 1 for the full model and the whole prompt. The first half of a
/// width or of a prompt costs less than the second, and the prompt less than the width, as published results
/// agree.
[[nodiscard]] inline double default_quality(double width, double keep_ratio) noexcept {
  const double narrow = 1.0 - std::clamp(width, 0.0, 1.0), cut = 1.0 - std::clamp(keep_ratio, 0.0, 1.0);
  return (1.0 - narrow * narrow) * (1.0 - 0.5 * cut * cut);
}

/// How far below a planned level answers are still worth something: the lowest of the levels down to which
/// each is expected to be worth half of the planned one or more. `quality` is a function of the level,
/// negative for one that may not be run.
template <typename Quality>
[[nodiscard]] int narrowest_worthwhile(int planned_level, const Quality& quality) {
  constexpr double kWorthwhile = 0.5;
  const double least = kWorthwhile * quality(planned_level);
  int narrowest = planned_level;
  for (int level = planned_level - 1; level >= 0; --level) {
    const double worth = quality(level);
    if (worth < 0.0) continue;
    if (worth < least) break;
    narrowest = level;
  }
  return narrowest;
}

}  // namespace elms::inline v0::detail
