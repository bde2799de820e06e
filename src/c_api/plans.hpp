// Targets and plans, which planner and service have in common.
#pragma once

#include <optional>

#include "c_api/arguments.hpp"
#include "elms/planning.hpp"

namespace elms::inline v0::detail {

struct Targets {
  Slo slo;
  std::optional<SloShares> shares;
};

/// 0 is no target; of two shares the one that is 0 is all of the full model's time. kInvalidArgument for
/// negative targets, shares above 1, and for both kinds at once.
Result<Targets> read_targets(double ttft_ms, double tpot_ms, double ttft_share, double tpot_share);

Status write_plan(const Plan& plan, elms_plan* out);

}  // namespace elms::inline v0::detail
