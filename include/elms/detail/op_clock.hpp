// A lap timer for the ops of a forward pass. Without an OpTimes to write to it never reads the clock.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>

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
    add(op, std::chrono::duration<double>(now - last_).count());
    last_ = now;
  }

 private:
  friend class OpShares;
  using Clock = std::chrono::steady_clock;

  void add(Op op, double seconds) noexcept { times_->seconds[static_cast<std::size_t>(op)] += seconds; }

  OpTimes* times_ = nullptr;
  Clock::time_point last_;
};

/// Divides one parallel section between two ops that its tasks run one after the other, by the time that all
/// threads spend on each.
class OpShares {
 public:
  explicit OpShares(OpClock& clock) noexcept : clock_(clock) {}

  /// One task's stopwatch, on the task's thread.
  class Task {
   public:
    explicit Task(OpShares& shares) noexcept : shares_(shares) {
      if (shares_.on()) last_ = OpClock::Clock::now();
    }
    void end_first() noexcept { add(shares_.first_ns_); }
    void end_second() noexcept { add(shares_.second_ns_); }

   private:
    void add(std::atomic<std::int64_t>& sum) noexcept {
      if (!shares_.on()) return;
      const OpClock::Clock::time_point now = OpClock::Clock::now();
      sum += std::chrono::duration_cast<std::chrono::nanoseconds>(now - last_).count();
      last_ = now;
    }

    OpShares& shares_;
    OpClock::Clock::time_point last_;
  };

  /// The section is over: ends the clock's lap.
  void lap(Op first, Op second) noexcept {
    if (!on()) return;
    const OpClock::Clock::time_point now = OpClock::Clock::now();
    const double seconds = std::chrono::duration<double>(now - clock_.last_).count();
    const auto first_ns = static_cast<double>(first_ns_), all_ns = first_ns + static_cast<double>(second_ns_);
    const double share = all_ns > 0.0 ? first_ns / all_ns : 1.0;
    clock_.add(first, seconds * share);
    clock_.add(second, seconds * (1.0 - share));
    clock_.last_ = now;
  }

 private:
  [[nodiscard]] bool on() const noexcept { return clock_.times_ != nullptr; }

  OpClock& clock_;
  std::atomic<std::int64_t> first_ns_{0}, second_ns_{0};
};

}  // namespace elms::inline v0::detail
