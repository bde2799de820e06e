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
  std::array<double, elms::kOpCount> op_rate{};  ///< GOPS of a batch, GB/s of a step; 0: see OpWork
  double other_ms = 0.0;                         ///< outside of ops: choosing a token, the session itself
};

struct Profiles {
  OpProfile prefill, decode;
};

/// Medians of several runs: of the longest prompt's first batch, and of steps after
/// options.profiled_context() tokens.
elms::Result<Profiles> profile_ops(elms::Session& session, const BenchOptions& options, ProgressBar& bar);

}  // namespace elms_cli
