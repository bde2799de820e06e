// Where the time of one prefill batch and of one decode step goes, op by op, at full width.
#pragma once

#include <array>

#include "cli/bench/options.hpp"
#include "cli/console.hpp"
#include "elms/op_times.hpp"
#include "elms/session.hpp"

namespace elms_cli {

struct OpProfile {
  std::int32_t tokens = 1;   ///< of the batch
  std::int32_t context = 0;  ///< tokens in the cache before it; the median of several steps
  double ms = 0.0;           ///< all of it
  std::array<double, elms::kOpCount> op_ms{};
  double other_ms = 0.0;  ///< outside of ops: choosing a token, the session itself
};

struct Profiles {
  OpProfile prefill, decode;
};

/// Medians of several runs.
elms::Result<Profiles> profile_ops(elms::Session& session, const BenchOptions& options, ProgressBar& bar);

/// What an op works through at full width; 0 where it is not a product with weights.
struct OpWork {
  double operations = 0.0;  ///< for each row
  double bytes = 0.0;       ///< of weights
};
OpWork work_of(elms::Op op, const elms::ElasticModel& model);

}  // namespace elms_cli
