#include "c_api/plans.hpp"

namespace elms::inline v0::detail {

Result<Targets> read_targets(double ttft_ms, double tpot_ms, double ttft_share, double tpot_share) {
  Targets targets;
  if (!(ttft_ms >= 0.0 && tpot_ms >= 0.0)) {
    return invalid_argument("targets of ", ttft_ms, " ms and ", tpot_ms, " ms, expected 0 (none) or more");
  }
  if (ttft_ms > 0.0) targets.slo.ttft_ms = ttft_ms;
  if (tpot_ms > 0.0) targets.slo.tpot_ms = tpot_ms;
  if (ttft_share == 0.0 && tpot_share == 0.0) return targets;
  if (ttft_ms > 0.0 || tpot_ms > 0.0)
    return invalid_argument("targets in milliseconds and as shares, expected one of the two");
  const auto is_share = [](double share) { return share >= 0.0 && share <= 1.0; };
  if (!is_share(ttft_share) || !is_share(tpot_share)) {
    return invalid_argument("latency shares of ", ttft_share, " and ", tpot_share,
                            ", expected above 0 and at most 1");
  }
  targets.shares = SloShares{ttft_share > 0.0 ? ttft_share : 1.0, tpot_share > 0.0 ? tpot_share : 1.0};
  return targets;
}

Status write_plan(const Plan& plan, elms_plan* out) {
  elms_plan filled{};
  filled.struct_size = sizeof filled;
  filled.level = plan.level;
  filled.feasible = plan.feasible ? 1 : 0;
  filled.accepted = plan.accepted ? 1 : 0;
  filled.reuse_cache = plan.reuse_cache ? 1 : 0;
  filled.width = plan.width;
  filled.keep_ratio = plan.keep_ratio;
  filled.ttft_ms = plan.ttft_ms;
  filled.tpot_ms = plan.tpot_ms;
  filled.ttft_margin_ms = plan.ttft_margin_ms;
  filled.tpot_margin_ms = plan.tpot_margin_ms;
  filled.ttft_target_ms = plan.slo.ttft_ms;
  filled.tpot_target_ms = plan.slo.tpot_ms;
  filled.expected_quality = plan.expected_quality;
  filled.n_keep_tokens = plan.n_keep_tokens;
  filled.n_prefill_tokens = plan.n_prefill_tokens;
  filled.n_reused_tokens = plan.n_reused_tokens;
  filled.n_refine_words = plan.n_refine_words;
  copy_cut(plan.reason, filled.reason);
  return write_struct(filled, out, "elms_plan");
}

}  // namespace elms::inline v0::detail
