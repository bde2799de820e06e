// What SLOPlanner is asked, answers and is taught: requests, strategies, plans, observations.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "elms/slo.hpp"

namespace elms::inline v0 {

/// Tokens are the language model's own. The prompt is one sequence; a prefix of it may lie in a session's
/// cache.
struct PlanRequest {
  std::int32_t n_protected_tokens = 0;     ///< of the whole prompt: what is never shortened
  std::int32_t n_compressible_tokens = 0;  ///< of the whole prompt: what a keep ratio applies to

  std::int32_t n_cached_tokens = 0;  ///< prompt tokens that the session's cache already holds, a prefix
  std::int32_t n_cached_compressible_tokens = 0;  ///< those of them that are compressible
  /// Those of them before the first compressible one (a system prompt): reused even when what follows is
  /// shortened.
  std::int32_t n_cached_head_tokens = 0;

  std::int32_t n_output_tokens = 64;  ///< expected of the answer; TPOT is predicted for the middle of it
  std::int32_t context_tokens =
      0;  ///< capacity of the session; what does not fit is infeasible. 0: the model's

  bool may_refine = true;  ///< false: only keep ratio 1 (no refiner, or the text must stay as it is)
  /// Words that the refiner reads when the keep ratio is below 1: 0 when the scores are already known, or not
  /// needed; negative: estimated from the compressible tokens.
  std::int32_t n_refine_words = -1;

  Slo slo;                          ///< counted from the request's arrival
  std::optional<SloShares> shares;  ///< instead of slo
  double elapsed_ms =
      0.0;  ///< of the TTFT target: queue, decision head, whatever is over when plan() is called
  double confidence =
      0.99;  ///< wanted chance, in [0.5, 0.9999], that a predicted time with its margin is kept
  InfeasiblePolicy policy = InfeasiblePolicy::kReject;

  /// From the decision head; without one (or with one that is not valid()) the model's quality table, else a
  /// default.
  std::optional<StrategyQualities> qualities;
  std::size_t n_alternatives = 4;  ///< how many Plan::alternatives are wanted
};

/// Why a strategy is not, or is, the plan.
enum class Verdict : std::uint8_t {
  kChosen,
  kLowerQuality,  ///< feasible, but expected to answer worse
  kDearer,        ///< feasible and as good, but slower
  kTtftMissed,    ///< with its margin the first token comes too late
  kTpotMissed,    ///< with its margin the other tokens do
  kBothMissed,
  kOutOfContext,  ///< prompt and answer do not fit into the context
  kOutOfMemory,   ///< of a whole plan: there was none to compare strategies in
};
/// In a few words: "the first token would come too late".
[[nodiscard]] constexpr const char* to_string(Verdict verdict) noexcept {
  switch (verdict) {
    case Verdict::kChosen:
      return "chosen";
    case Verdict::kLowerQuality:
      return "in time, but expected to answer worse";
    case Verdict::kDearer:
      return "as good, but slower";
    case Verdict::kTtftMissed:
      return "the first token would come too late";
    case Verdict::kTpotMissed:
      return "tokens would come too slowly";
    case Verdict::kBothMissed:
      return "the first token would come too late and the others too slowly";
    case Verdict::kOutOfContext:
      return "prompt and answer do not fit into the context";
    case Verdict::kOutOfMemory:
      return "out of memory";
  }
  return "unknown";
}

/// One way to serve a request. Times are expected ones; with its margin a time is kept at the asked
/// confidence.
struct Strategy {
  int level = 0;
  double width = 1.0;              ///< cost share of the level
  double keep_ratio = 1.0;         ///< share of the compressible tokens that stay
  bool reuse_cache = false;        ///< the cached prefix stays as it is, and only what follows is shortened
  std::int32_t n_keep_tokens = 0;  ///< compressible tokens that stay, cached ones included
  std::int32_t n_prefill_tokens = 0;  ///< that are to be computed
  std::int32_t n_reused_tokens = 0;   ///< that come from the cache
  std::int32_t n_refine_words = 0;    ///< that the refiner reads
  std::int32_t n_cut_words = 0;       ///< that are chosen from, where the prompt is cut; estimated
  double ttft_ms = 0.0;               ///< elapsed_ms included
  double tpot_ms = 0.0;
  double ttft_margin_ms = 0.0;  ///< ttft_ms + ttft_margin_ms <= target where feasible
  double tpot_margin_ms = 0.0;
  double expected_quality = 0.0;
  Verdict verdict = Verdict::kLowerQuality;
};

/// The answer of SLOPlanner::plan(). The strategy's members say what to run.
struct Plan : Strategy {
  bool feasible = false;  ///< both targets are met at the asked confidence
  bool accepted = false;  ///< feasible, or best effort was asked for; otherwise the strategy only shows the
                          ///< least overshoot
  /// While decoding the level narrows no further: below it an answer is expected to be worth less than half
  /// of the planned one's.
  int narrowest_level = 0;
  Slo slo;  ///< the targets in milliseconds that the plan was made for
  std::vector<Strategy>
      alternatives;    ///< the runners-up, best first: feasible ones by quality, then by overshoot
  std::string reason;  ///< in words
};

/// What a request really took. Phases without a count are ignored; a request whose level changed is told in
/// parts.
struct Observation {
  int level = 0;
  std::int32_t n_refine_words = 0;
  double refine_ms = 0.0;
  std::int32_t n_cut_words =
      0;  ///< that were chosen from without the refiner, or with scores that it gave before
  double cut_ms = 0.0;
  std::int32_t n_prefill_tokens = 0, n_cached_tokens = 0;  ///< computed, and in the cache before
  double prefill_ms = 0.0;            ///< to the first token, refiner and queue not included
  std::int32_t n_decoded_tokens = 0;  ///< after the first
  std::int32_t context_tokens = 0;    ///< position of the first of them
  double decode_ms = 0.0;             ///< of all of them
};

/// A predicted time and what is to be added to keep it at a confidence.
struct Prediction {
  double ms = 0.0;
  double margin_ms = 0.0;
  [[nodiscard]] double with_margin() const noexcept { return ms + margin_ms; }
};

}  // namespace elms::inline v0
