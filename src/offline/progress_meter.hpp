// Tells a ProgressCallback how far one phase is, a few times a second and at its end. Internal to
// src/offline.
#pragma once

#include <chrono>
#include <string_view>

#include "elms/detail/error.hpp"
#include "elms/offline/progress.hpp"
#include "elms/status.hpp"

namespace elms::inline v0::offline {

/// The callback and the phase's name must outlive it. One thread.
class ProgressMeter {
 public:
  ProgressMeter(const ProgressCallback& callback, std::string_view phase)
      : callback_(callback), phase_(phase) {}

  /// kCancelled when the callback wants the work to stop.
  [[nodiscard]] Status report(double fraction) {
    if (!callback_) return {};
    const Clock::time_point now = Clock::now();
    if (fraction < 1.0 && now - last_ < std::chrono::milliseconds(200)) return {};
    last_ = now;
    if (callback_({phase_, fraction}) == Flow::kContinue) return {};
    return detail::error(StatusCode::kCancelled, phase_, ": stopped");
  }

 private:
  using Clock = std::chrono::steady_clock;
  const ProgressCallback& callback_;
  std::string_view phase_;
  Clock::time_point last_ = Clock::now();
};

}  // namespace elms::inline v0::offline
