// A part of a trace run: every request is asked for when it arrives.
#pragma once

#include <cstddef>
#include <functional>
#include <span>

#include "elms/status.hpp"
#include "offline/slo/contender.hpp"
#include "offline/slo/replay_clock.hpp"

namespace elms::inline v0::offline {

/// What became of one request.
struct Outcome {
  bool answered = false;
  bool right = false;
  bool promised = false;  ///< its plan was predicted to be in time
  double ttft_ms = 0.0;   ///< from its arrival
  double tpot_ms = 0.0;   ///< 0: fewer than two tokens
  double refine_ms = 0.0, plan_ms = 0.0;
  double width = 0.0, keep_ratio = 0.0;
  std::size_t n_level_changes = 0;
};

/// Replays requests [begin, begin + outcomes.size()) of the trace, the first at once: in real time each on a
/// thread of its own, in CPU time one after another on this one, of those that have arrived the one with the
/// earliest deadline. `while_waiting` is called on this thread a few times a second; when it fails what is
/// under way is stopped, and that is returned. Requests that fail are outcomes, not errors.
Status replay(const Trace& trace, std::size_t begin, Contender& contender, ReplayClock& clock,
              const std::function<Status()>& while_waiting, std::span<Outcome> outcomes);

}  // namespace elms::inline v0::offline
