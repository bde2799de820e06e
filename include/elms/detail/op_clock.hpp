// A lap timer for the ops of a forward pass. Without an OpTimes to write to it never reads the clock.
#pragma once

#include <chrono>
#include <cstddef>

#include "elms/op_times.hpp"

namespace elms::inline v0::detail {

class OpClock {
 public:
  /// Null: off.
  void set(OpTimes* times) noexcept { times_ = times; }

  /// The next lap begins now.
  void start() noexcept {
    if (times_ != nullptr) last_ = Clock::now();
  }

  /// The time since the lap before, or start(), was spent on `op`.
  void lap(Op op) noexcept {
    if (times_ == nullptr) return;
    const Clock::time_point now = Clock::now();
    times_->seconds[static_cast<std::size_t>(op)] += std::chrono::duration<double>(now - last_).count();
    last_ = now;
  }

 private:
  using Clock = std::chrono::steady_clock;
  OpTimes* times_ = nullptr;
  Clock::time_point last_;
};

}  // namespace elms::inline v0::detail
