// The learning rate of every step, and when a run ends.
#pragma once

#include <cstdint>

namespace elms::inline v0::offline::train {

/// Linear warm-up times a cosine over the run. The run's length is a number of steps, a time, or both:
/// whichever is further counts, so that a run that is short of time still ends with a small rate.
struct Schedule {
  double peak = 3e-3;
  double min_share = 0.1;  ///< of the peak, at the end
  std::uint64_t warmup_steps = 0;
  std::uint64_t n_steps = 0;  ///< 0: no limit
  double n_seconds = 0.0;     ///< 0: no limit

  /// How far the run is, 0 .. 1, when `step` steps are done.
  [[nodiscard]] double share(std::uint64_t step, double elapsed_seconds) const noexcept;
  /// Of the step that follows.
  [[nodiscard]] double rate(std::uint64_t step, double elapsed_seconds) const noexcept;
};

}  // namespace elms::inline v0::offline::train
