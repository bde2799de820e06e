// What a request asks of its speed, and what strategies are expected to be worth.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace elms::inline v0 {

/// Targets of a request. Infinite: no target.
struct Slo {
  double ttft_ms = std::numeric_limits<double>::infinity();  ///< from the request to its first token
  double tpot_ms = std::numeric_limits<double>::infinity();  ///< mean of the tokens after the first
};

/// Targets as shares of what the full model takes for the whole prompt on this device, each in (0, 1]. The
/// papers state theirs like this, and the decision head reads them (see SLOPlanner::shares_of).
struct SloShares {
  double ttft = 1.0;
  double tpot = 1.0;
};

/// Expected quality of strategies on a grid, as the refiner's decision head gives it: quality[w *
/// keep_ratios.size() + k] is the chance in [0, 1] that the answer at widths[w] and keep_ratios[k] is still
/// right. Both axes ascend, in (0, 1].
struct StrategyQualities {
  std::vector<float> widths;       ///< [n_widths]
  std::vector<float> keep_ratios;  ///< [n_keep]
  std::vector<float> quality;      ///< [n_widths, n_keep], row-major

  [[nodiscard]] float at(std::size_t width, std::size_t keep_ratio) const noexcept {
    return quality[width * keep_ratios.size() + keep_ratio];
  }
  /// Whether the three fit each other and the axes ascend.
  [[nodiscard]] bool valid() const noexcept {
    if (widths.empty() || keep_ratios.empty() || quality.size() != widths.size() * keep_ratios.size())
      return false;
    const auto ascends = [](const std::vector<float>& axis) {
      for (std::size_t i = 0; i < axis.size(); ++i) {
        if (!(axis[i] > 0.0f && axis[i] <= 1.0f) || (i > 0 && axis[i] <= axis[i - 1])) return false;
      }
      return true;
    };
    for (const float value : quality) {
      if (!(value >= 0.0f && value <= 1.0f)) return false;
    }
    return ascends(widths) && ascends(keep_ratios);
  }
};

/// What becomes of a request that no strategy can serve in time.
enum class InfeasiblePolicy : std::uint8_t {
  kReject,      ///< it is not run
  kBestEffort,  ///< the strategy with the highest expected quality per lateness is run: quality
                ///< over (predicted time with its margin / target), of the worse of both targets
};

}  // namespace elms::inline v0
