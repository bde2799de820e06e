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
  /// Idle before each run, as a device is before a request: caches are another's by then and the clock is low
  /// (measured on a VM: the first millisecond of work takes 1.5 times as long after 60 ms). At most what
  /// leaves half of the seconds to the runs. 0 where requests will come without a break.
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
  std::int32_t n_tokens = 1;   ///< words, prompt tokens; 1 for a decoded token
  std::int32_t n_context = 0;  ///< positions in the cache before
  bool held_out = false;       ///< not fitted
  std::vector<double> runs_ms;
  double measured_ms = 0.0;   ///< the lowest decile of the runs: what others on the machine disturb least
  double predicted_ms = 0.0;  ///< of the law as fitted to lowest deciles
};

struct Calibration {
  DeviceProfile profile;
  std::vector<TimedPoint> points;
  /// Typical over undisturbed times of prefill and decode: the median of all runs over the fitted law. It is
  /// in the profile's coefficients, not in TimedPoint::predicted_ms.
  double prefill_disturbance = 1.0, decode_disturbance = 1.0;
};

}  // namespace elms::inline v0
