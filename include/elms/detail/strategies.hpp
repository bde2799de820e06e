// All ways to serve a request, and which of them is the plan. Knows laws and qualities, but no model and no
// lock.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "elms/detail/error.hpp"
#include "elms/detail/latency_model.hpp"
#include "elms/detail/strategy_quality.hpp"
#include "elms/planning.hpp"

namespace elms::inline v0::detail {

/// Words that the refiner reads of a request's prompt; where the request does not say, three for four
/// compressible tokens.
[[nodiscard]] inline std::int32_t estimated_words(std::int32_t n_tokens) noexcept {
  return static_cast<std::int32_t>((std::int64_t{n_tokens} * 3 + 3) / 4);
}
[[nodiscard]] inline std::int32_t estimated_words(const PlanRequest& request) noexcept {
  return request.n_refine_words >= 0 ? request.n_refine_words
                                     : estimated_words(request.n_compressible_tokens);
}

/// A request whose counts fit each other.
[[nodiscard]] inline PlanRequest tidy(const PlanRequest& given) {
  constexpr std::int32_t kMost = 1 << 28;  // sums of two stay in range
  PlanRequest request = given;
  const auto clamp_to = [](std::int32_t& value, std::int32_t most) { value = std::clamp(value, 0, most); };
  clamp_to(request.n_protected_tokens, kMost);
  clamp_to(request.n_compressible_tokens, kMost);
  clamp_to(request.n_output_tokens, kMost);
  const std::int32_t n_prompt = request.n_protected_tokens + request.n_compressible_tokens;
  // The last token is always computed: its logits begin the answer.
  clamp_to(request.n_cached_tokens, std::max(0, n_prompt - 1));
  clamp_to(request.n_cached_compressible_tokens,
           std::min(request.n_cached_tokens, request.n_compressible_tokens));
  clamp_to(request.n_cached_head_tokens, request.n_cached_tokens - request.n_cached_compressible_tokens);
  request.n_refine_words = estimated_words(request);
  request.elapsed_ms = std::isfinite(request.elapsed_ms) ? std::max(0.0, request.elapsed_ms) : 0.0;
  request.confidence = usable_confidence(request.confidence);
  return request;
}

/// Predicts and judges strategies for one request.
class StrategyJudge {
 public:
  StrategyJudge(const LatencyModel& model, std::span<const Level> levels, const PlanRequest& request,
                const Slo& slo, const std::array<PhaseState, kPhaseCount>& states)
      : model_(model), levels_(levels), request_(request), slo_(slo), states_(states) {}

  /// A strategy with its times, and its verdict as far as it does not depend on others.
  [[nodiscard]] Strategy strategy(int level, double keep_ratio, bool reuse_cache,
                                  double quality) const noexcept {
    Strategy s;
    s.level = level;
    s.width = levels_[static_cast<std::size_t>(level)].cost_share;
    s.keep_ratio = keep_ratio;
    s.reuse_cache = reuse_cache;
    s.expected_quality = quality;
    count_tokens(s);
    const PhaseState& refine = states_[0];
    const PhaseState& prefill = states_[1];
    const PhaseState& decode = states_[2];
    const PhaseState& cut = states_[3];
    const double refine_ms = s.n_refine_words > 0 ? model_.refine_ms(s.n_refine_words) * refine.factor : 0.0;
    const double prefill_ms =
        model_.prefill_ms(level, s.n_prefill_tokens, s.n_reused_tokens) * prefill.factor;
    const double cut_ms = s.n_cut_words > 0 ? model_.cut_ms(s.n_cut_words) * cut.factor : 0.0;
    s.ttft_ms = request_.elapsed_ms + refine_ms + cut_ms + prefill_ms;
    s.ttft_margin_ms =
        std::hypot(refine.margin_ms(refine_ms), cut.margin_ms(cut_ms), prefill.margin_ms(prefill_ms));
    const double n_prompt = s.n_prefill_tokens + s.n_reused_tokens;
    s.tpot_ms = model_.decode_ms(level, n_prompt + request_.n_output_tokens / 2.0) * decode.factor;
    s.tpot_margin_ms = decode.margin_of_mean_ms(s.tpot_ms, request_.n_output_tokens - 1);
    s.verdict = judge(s);
    return s;
  }

  /// By how much the worse of the two targets is missed: 0 where both are met, 1 at twice the target.
  [[nodiscard]] double overshoot(const Strategy& s) const noexcept {
    const auto over = [](double ms, double target) {
      if (!(target < std::numeric_limits<double>::infinity())) return 0.0;
      return std::max(0.0, ms / std::max(target, 1e-6) - 1.0);
    };
    return std::max(over(s.ttft_ms + s.ttft_margin_ms, slo_.ttft_ms),
                    over(s.tpot_ms + s.tpot_margin_ms, slo_.tpot_ms));
  }

  /// Of the whole answer.
  [[nodiscard]] double total_ms(const Strategy& s) const noexcept {
    return s.ttft_ms + s.tpot_ms * std::max(0, request_.n_output_tokens - 1);
  }

  [[nodiscard]] static bool feasible(const Strategy& s) noexcept {
    return s.verdict == Verdict::kLowerQuality;
  }

 private:
  void count_tokens(Strategy& s) const noexcept {
    const std::int32_t fixed =
        s.reuse_cache ? request_.n_cached_compressible_tokens : 0;  // compressible, but left alone
    const std::int32_t free = request_.n_compressible_tokens - fixed;
    // Rounded up, as a budget that may be used, not a wish.
    const auto kept = static_cast<std::int32_t>(std::ceil(s.keep_ratio * free - 1e-9));
    s.n_keep_tokens = fixed + std::clamp(kept, 0, free);
    const bool shortened = s.n_keep_tokens < request_.n_compressible_tokens;
    const std::int32_t n_prompt = std::max(1, request_.n_protected_tokens + s.n_keep_tokens);
    const std::int32_t reusable =
        s.reuse_cache || !shortened ? request_.n_cached_tokens : request_.n_cached_head_tokens;
    s.n_reused_tokens = std::min(reusable, n_prompt - 1);
    s.n_prefill_tokens = n_prompt - s.n_reused_tokens;
    if (shortened) {
      const double share = static_cast<double>(free) / std::max(1, request_.n_compressible_tokens);
      s.n_refine_words = static_cast<std::int32_t>(std::ceil(request_.n_refine_words * share));
      s.n_cut_words = estimated_words(free);
    }
  }

  /// kLowerQuality stands for feasible until the plan is chosen.
  [[nodiscard]] Verdict judge(const Strategy& s) const noexcept {
    const std::int64_t n_tokens =
        std::int64_t{s.n_prefill_tokens} + s.n_reused_tokens + request_.n_output_tokens;
    if (request_.context_tokens > 0 && n_tokens > request_.context_tokens) return Verdict::kOutOfContext;
    const bool ttft_met = s.ttft_ms + s.ttft_margin_ms <= slo_.ttft_ms;
    const bool tpot_met = s.tpot_ms + s.tpot_margin_ms <= slo_.tpot_ms;
    if (ttft_met) return tpot_met ? Verdict::kLowerQuality : Verdict::kTpotMissed;
    return tpot_met ? Verdict::kTtftMissed : Verdict::kBothMissed;
  }

  const LatencyModel& model_;
  std::span<const Level> levels_;
  const PlanRequest& request_;
  const Slo& slo_;
  const std::array<PhaseState, kPhaseCount>& states_;
};

/// A strategy with what orders it.
struct StrategyCandidate {
  Strategy strategy;
  double overshoot = 0.0;
  double total_ms = 0.0;
  double infeasible_rank = 0.0;  ///< the lower the better, where no strategy is feasible
};

/// What orders strategies that miss a target: how late they are, or, where one of them will be run, that over
/// what the answer is worth. So an answer at twice the target goes before one at the target that is less
/// than half as likely to be right.
[[nodiscard]] inline double infeasible_rank(double overshoot, double quality,
                                            InfeasiblePolicy policy) noexcept {
  constexpr double kLeastQuality = 1e-3;
  return policy == InfeasiblePolicy::kReject ? overshoot
                                             : (1.0 + overshoot) / std::max(quality, kLeastQuality);
}

/// Whether a comes before b: what fits the context, then feasible ones by quality (then time), others by
/// infeasible_rank().
[[nodiscard]] inline bool comes_before(const StrategyCandidate& a, const StrategyCandidate& b) noexcept {
  constexpr double kSameQuality = 1e-6;
  const bool a_fits = a.strategy.verdict != Verdict::kOutOfContext,
             b_fits = b.strategy.verdict != Verdict::kOutOfContext;
  if (a_fits != b_fits) return a_fits;
  const bool a_feasible = StrategyJudge::feasible(a.strategy),
             b_feasible = StrategyJudge::feasible(b.strategy);
  if (a_feasible != b_feasible) return a_feasible;
  if (!a_feasible && a.infeasible_rank != b.infeasible_rank) return a.infeasible_rank < b.infeasible_rank;
  const double qa = std::round(a.strategy.expected_quality / kSameQuality),
               qb = std::round(b.strategy.expected_quality / kSameQuality);
  if (qa != qb) return qa > qb;
  if (a.total_ms != b.total_ms) return a.total_ms < b.total_ms;
  if (a.strategy.level != b.strategy.level) return a.strategy.level < b.strategy.level;
  return a.strategy.keep_ratio < b.strategy.keep_ratio;
}

[[nodiscard]] inline std::string percent(double share) {
  return concat(static_cast<int>(std::lround(share * 100.0)), "%");
}
/// Milliseconds with three digits or so: "12.3 ms".
[[nodiscard]] inline std::string words_of_ms(double ms) {
  if (!(ms < std::numeric_limits<double>::infinity())) return "no target";
  const double step = ms < 10.0 ? 100.0 : ms < 100.0 ? 10.0 : 1.0;
  return concat(std::round(ms * step) / step, " ms");
}

/// "width 0.6, keeping 50% of the compressible tokens and the cached prefix".
[[nodiscard]] inline std::string words_of(const Strategy& s) {
  std::string text = concat("width ", std::round(s.width * 100.0) / 100.0);
  text += s.n_refine_words > 0 || s.keep_ratio < 1.0
              ? concat(", ", percent(s.keep_ratio), " of the compressible tokens")
              : ", the whole prompt";
  if (s.n_reused_tokens > 0) text += concat(", ", s.n_reused_tokens, " tokens from the cache");
  return text;
}

[[nodiscard]] inline std::string reason_of(const Plan& plan, std::size_t n_strategies, std::size_t n_feasible,
                                           const PlanRequest& request, const StrategyCandidate* ahead) {
  const std::string times =
      concat("first token after ", words_of_ms(plan.ttft_ms), " + ", words_of_ms(plan.ttft_margin_ms),
             " margin of ", words_of_ms(plan.slo.ttft_ms), ", then ", words_of_ms(plan.tpot_ms), " + ",
             words_of_ms(plan.tpot_margin_ms), " a token of ", words_of_ms(plan.slo.tpot_ms));
  if (plan.feasible) {
    std::string text =
        concat(words_of(plan), ": the best of ", n_feasible, " of ", n_strategies,
               " strategies that meet both targets at ", request.confidence * 100.0, "% (", times, ")");
    if (ahead != nullptr) {
      text += concat("; ", words_of(ahead->strategy),
                     " would answer better, but: ", to_string(ahead->strategy.verdict));
    }
    return text;
  }
  if (plan.verdict == Verdict::kOutOfContext) {
    return concat("infeasible: prompt and answer do not fit into ", request.context_tokens,
                  " tokens of context however short the prompt is made");
  }
  return concat("infeasible: none of ", n_strategies, " strategies meets both targets at ",
                request.confidence * 100.0, "%; ",
                plan.accepted ? "the best answer for its lateness has " : "the least overshoot has ",
                words_of(plan), " (", times, "); ", plan.accepted ? "run as best effort" : "rejected");
}

/// How far the plan may narrow while it decodes: over candidates that differ from it in their level only.
[[nodiscard]] inline int narrowest_of(const Strategy& plan, std::span<const StrategyCandidate> candidates) {
  return narrowest_worthwhile(plan.level, [&](int level) {
    for (const StrategyCandidate& candidate : candidates) {
      const Strategy& other = candidate.strategy;
      if (other.level == level && other.keep_ratio == plan.keep_ratio &&
          other.reuse_cache == plan.reuse_cache)
        return other.expected_quality;
    }
    return -1.0;
  });
}

/// Orders the candidates, names their verdicts and fills the plan.
[[nodiscard]] inline Plan choose(std::vector<StrategyCandidate>& candidates, const PlanRequest& request,
                                 const Slo& slo) {
  Plan plan;
  plan.slo = slo;
  if (candidates.empty()) return plan;
  const std::size_t n_shown = std::min(candidates.size(), request.n_alternatives + 1);
  std::partial_sort(candidates.begin(), candidates.begin() + static_cast<std::ptrdiff_t>(n_shown),
                    candidates.end(), comes_before);
  const StrategyCandidate& best = candidates.front();
  static_cast<Strategy&>(plan) = best.strategy;
  plan.narrowest_level = narrowest_of(plan, candidates);
  plan.feasible = StrategyJudge::feasible(best.strategy);
  const bool fits = best.strategy.verdict != Verdict::kOutOfContext;
  plan.accepted = plan.feasible || (fits && request.policy == InfeasiblePolicy::kBestEffort);
  std::size_t n_feasible = 0;
  const StrategyCandidate* ahead = nullptr;  // the best of what would have answered better
  for (const StrategyCandidate& candidate : candidates) {
    if (StrategyJudge::feasible(candidate.strategy)) {
      ++n_feasible;
    } else if (candidate.strategy.expected_quality > plan.expected_quality &&
               (ahead == nullptr || candidate.overshoot < ahead->overshoot)) {
      ahead = &candidate;
    }
  }
  for (std::size_t i = 1; i < n_shown; ++i) {
    Strategy other = candidates[i].strategy;
    if (StrategyJudge::feasible(other) && other.expected_quality >= plan.expected_quality - 1e-6)
      other.verdict = Verdict::kDearer;
    plan.alternatives.push_back(other);
  }
  if (plan.feasible) plan.verdict = Verdict::kChosen;
  plan.reason = reason_of(plan, candidates.size(), n_feasible, request, ahead);
  return plan;
}

}  // namespace elms::inline v0::detail
