#include "offline/train/schedule.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace elms::inline v0::offline::train {

double Schedule::share(std::uint64_t step, double elapsed_seconds) const noexcept {
  double share = 0.0;
  if (n_steps > 0) share = static_cast<double>(step) / static_cast<double>(n_steps);
  if (n_seconds > 0.0) share = std::max(share, elapsed_seconds / n_seconds);
  return std::min(share, 1.0);
}

double Schedule::rate(std::uint64_t step, double elapsed_seconds) const noexcept {
  const double wave = 0.5 * (1.0 + std::cos(std::numbers::pi * share(step, elapsed_seconds)));
  const double warm =
      step < warmup_steps ? static_cast<double>(step + 1) / static_cast<double>(warmup_steps) : 1.0;
  return peak * warm * (min_share + (1.0 - min_share) * wave);
}

}  // namespace elms::inline v0::offline::train
