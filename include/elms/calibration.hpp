// What timing a model on this device takes and gives; calibrate() is in calibrate.hpp.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "elms/device_profile.hpp"
#include "elms/status.hpp"
#include "elms/thread_pool.hpp"
#include "elms/types.hpp"

namespace elms::inline v0 {

struct CalibrationOptions {
  double seconds = 15.0;          ///< to spend on what is fitted; one round is always finished
  double held_out_seconds = 0.0;  ///< to spend on points that are not fitted, timed in turn with the others
  std::shared_ptr<ThreadPool> pool{};  ///< of the sessions; null: the model's
  KvType kv_type = KvType::kF16;
  std::int32_t batch_tokens = 512;  ///< of the sessions
  /// Idle before each run in half of the time, as a device is before a request: caches are another's by then
  /// and the clock is low (measured on a VM: the first millisecond of work takes 1.5 times as long after
  /// 60 ms). Shorter where runs would be left less than half of that. The other half has no pauses: the law's
  /// shape is of what the work itself takes. 0 where requests will come without a break.
  double pause_ms = 20.0;
  std::int32_t max_tokens =
      512;  ///< longest prompt and context to time; less where the model or the time allow less
  /// Runs the refiner over about so many words; empty: the refiner's time stays a guess that requests
  /// correct.
  std::function<Status(std::int32_t n_words)> refine{};
  /// What times are read from, in milliseconds; empty: the steady clock. CPU time of the thread, with a pool
  /// of one thread, is free of what others on the machine do.
  std::function<double()> clock_ms{};
  /// The share that is done, 0 .. 1; kStop ends the work with kCancelled. May be empty.
  std::function<Flow(double fraction)> on_progress{};
};

/// One thing that was timed, and what the law says.
struct TimedPoint {
  Phase phase = Phase::kDecode;
  int level = 0;
  std::int32_t n_tokens = 1;      ///< words, prompt tokens; 1 for a decoded token
  std::int32_t n_context = 0;     ///< positions in the cache before
  bool held_out = false;          ///< not fitted
  std::vector<double> runs_ms;    ///< each after a pause, as requests come
  std::vector<double> steady_ms;  ///< one right behind the other; none without pauses, or of long runs
  /// The lowest decile of the steady runs, or of all where there are none: what others on the machine disturb
  /// least.
  double measured_ms = 0.0;
  double predicted_ms = 0.0;  ///< of the law as fitted to lowest deciles
  double typical_ms = 0.0;    ///< the median of the runs after a pause
  double expected_ms = 0.0;   ///< of the profile, as plans use it
};

struct Calibration {
  DeviceProfile profile;
  std::vector<TimedPoint> points;
  /// Typical over undisturbed times of prefill and decode: the median of all steady runs over predicted_ms.
  double prefill_disturbance = 1.0, decode_disturbance = 1.0;
};

}  // namespace elms::inline v0
