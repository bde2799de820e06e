// How far a phase's times have moved from the calibration, learnt from recent requests.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <vector>

#include "elms/detail/latency_fit.hpp"

namespace elms::inline v0::detail {

/// Log ratios of measured to calibrated times, in the order in which requests ended, with the calibrated
/// times. Not thread-safe.
///
/// level() is the median of the last kShort; where the longer past agrees with it, that past is averaged in
/// (robustly), which is quieter. So one odd request moves nothing, three in a row move the estimate, and as
/// many bring it back. excess() is how far above their expected time the worst of the last kLong requests
/// lay, the very worst left out: bursts of another process come again, and margins must cover them for a
/// while.
class DriftTracker {
 public:
  static constexpr std::size_t kShort = 5, kLong = 32;

  void add(double log_ratio, double law_ms) {
    if (!std::isfinite(log_ratio) || !(law_ms > 0.0)) return;
    values_[next_ % kLong] = std::clamp(log_ratio, -10.0, 10.0);
    laws_ms_[next_ % kLong] = law_ms;
    ++next_;
    update();
  }
  void clear() noexcept { *this = {}; }

  [[nodiscard]] std::size_t count() const noexcept { return next_; }
  [[nodiscard]] double level() const noexcept { return level_; }
  /// In sqrt(ms): (measured - expected) / sqrt(expected); 0 before kShort of them.
  [[nodiscard]] double excess() const noexcept { return excess_; }
  /// kRobustDeviation times the median distance of recent ratios from level(); 0 before kShort of them.
  [[nodiscard]] double deviation() const noexcept { return deviation_; }

 private:
  /// The last n, newest first.
  [[nodiscard]] std::vector<double> last(std::size_t n) const {
    n = std::min({n, next_, kLong});
    std::vector<double> out(n);
    for (std::size_t i = 0; i < n; ++i) out[i] = values_[(next_ - 1 - i) % kLong];
    return out;
  }

  void update() {
    const std::vector<double> recent = last(kLong);
    const double now = median_of(last(kShort));
    std::vector<double> distance;
    for (const double value : last(kShort)) distance.push_back(std::abs(value - now));
    const double spread = std::max(0.02, kRobustDeviation * median_of(distance));
    // Grows back in time as long as the past is like the present.
    double sum = 0.0;
    std::size_t n = 0;
    int foreign = 0;
    for (const double value : recent) {
      if (std::abs(value - now) <= 2.5 * spread) {
        sum += value;
        ++n;
        foreign = 0;
      } else if (++foreign == 3) {
        break;
      }
    }
    // A single first request is believed by half only: it may be the odd one.
    level_ = n == 0 ? now : sum / static_cast<double>(n);
    if (next_ < 3) level_ *= next_ == 1 ? 0.5 : 0.8;

    std::vector<double> above, distances;
    for (std::size_t i = 0; i < std::min(next_, kLong); ++i) {
      const double expected_ms = laws_ms_[i] * std::exp(level_);
      above.push_back(std::sqrt(expected_ms) * std::expm1(values_[i] - level_));
      distances.push_back(std::abs(values_[i] - level_));
    }
    std::sort(above.begin(), above.end());
    excess_ = above.size() < kShort ? 0.0 : std::max(0.0, above[above.size() - 2]);
    deviation_ = next_ < kShort ? 0.0 : kRobustDeviation * median_of(std::move(distances));
  }

  std::array<double, kLong> values_{}, laws_ms_{};
  std::size_t next_ = 0;
  double level_ = 0.0, excess_ = 0.0, deviation_ = 0.0;
};

}  // namespace elms::inline v0::detail
