// What time a replay is measured in.
#pragma once

#include <chrono>
#include <ctime>
#include <functional>
#include <memory>
#include <thread>

namespace elms::inline v0::offline {

/// CPU time of the calling thread, or where the system has none of the process, in milliseconds.
[[nodiscard]] inline double thread_cpu_ms() noexcept {
#if defined(CLOCK_THREAD_CPUTIME_ID)
  timespec time{};
  if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) == 0)
    return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_nsec) * 1e-6;
#endif
  return static_cast<double>(std::clock()) * (1e3 / CLOCKS_PER_SEC);
}

/// Milliseconds that never go back. In real time any thread may use it; in CPU time only one, whose waiting
/// takes no time but moves the clock.
class ReplayClock {
 public:
  explicit ReplayClock(bool cpu_time) noexcept : cpu_time_(cpu_time) {}

  [[nodiscard]] bool is_cpu_time() const noexcept { return cpu_time_; }
  [[nodiscard]] double now_ms() const noexcept {
    if (cpu_time_) return skipped_ms_ + thread_cpu_ms();
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
  }
  void wait_until(double ms) {
    const double left_ms = ms - now_ms();
    if (left_ms <= 0.0) return;
    if (cpu_time_) {
      skipped_ms_ += left_ms;
    } else {
      std::this_thread::sleep_for(std::chrono::duration<double, std::milli>(left_ms));
    }
  }

 private:
  bool cpu_time_;
  double skipped_ms_ = 0.0;
};

/// As services and calibrations take it.
[[nodiscard]] inline std::function<double()> function_of(std::shared_ptr<const ReplayClock> clock) {
  return [clock = std::move(clock)] { return clock->now_ms(); };
}

}  // namespace elms::inline v0::offline
