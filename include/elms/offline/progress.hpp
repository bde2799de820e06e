// Long work tells how far it is, and can be stopped.
#pragma once

#include <functional>
#include <string_view>

#include "elms/types.hpp"

namespace elms::inline v0::offline {

struct Progress {
  std::string_view phase;  ///< what is being done, e.g. "calibrate"
  double fraction = 0.0;   ///< of this phase, 0 .. 1
};

/// Called on the working thread a few times a second at most; kStop ends the work with kCancelled, and no
/// output file is left behind.
using ProgressCallback = std::function<Flow(const Progress&)>;

}  // namespace elms::inline v0::offline
