// SLOPlanner: the width and the prompt's keep ratio with which a request meets its targets and is answered best.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "elms/device_profile.hpp"
#include "elms/elastic_model.hpp"
#include "elms/slo.hpp"
#include "elms/status.hpp"

namespace elms::inline v0 {

/// Tokens are the language model's own. The prompt is one sequence; a prefix of it may lie in a session's cache.
struct PlanRequest {
  std::int32_t n_protected_tokens = 0;     ///< of the whole prompt: what is never shortened
  std::int32_t n_compressible_tokens = 0;  ///< of the whole prompt: what a keep ratio applies to

  std::int32_t n_cached_tokens = 0;               ///< prompt tokens that the session's cache already holds, a prefix
  std::int32_t n_cached_compressible_tokens = 0;  ///< those of them that are compressible
  /// Those of them before the first compressible one (a system prompt): reused even when what follows is shortened.
  std::int32_t n_cached_head_tokens = 0;

  std::int32_t n_output_tokens = 64;  ///< expected of the answer; TPOT is predicted for the middle of it
  std::int32_t context_tokens = 0;    ///< capacity of the session; what does not fit is infeasible. 0: the model's

  bool may_refine = true;  ///< false: only keep ratio 1 (no refiner, or the text must stay as it is)
  /// Words that the refiner reads when the keep ratio is below 1: 0 when the scores are already known; negative:
  /// estimated from the compressible tokens.
  std::int32_t n_refine_words = -1;

  Slo slo;                         ///< counted from the request's arrival
  std::optional<SloShares> shares; ///< instead of slo
  double elapsed_ms = 0.0;         ///< of the TTFT target: queue, decision head, whatever is over when plan() is called
  double confidence = 0.99;        ///< wanted chance, in [0.5, 0.9999], that a predicted time with its margin is kept
  InfeasiblePolicy policy = InfeasiblePolicy::kReject;

  /// From the decision head; without one (or with one that is not valid()) the model's quality table, else a default.
  std::optional<StrategyQualities> qualities;
  std::size_t n_alternatives = 4;  ///< how many Plan::alternatives are wanted
};

/// Why a strategy is not, or is, the plan.
enum class Verdict : std::uint8_t {
  kChosen,
  kLowerQuality,    ///< feasible, but expected to answer worse
  kDearer,          ///< feasible and as good, but slower
  kTtftMissed,      ///< with its margin the first token comes too late
  kTpotMissed,      ///< with its margin the other tokens do
  kBothMissed,
  kOutOfContext,    ///< prompt and answer do not fit into the context
};
/// In a few words: "first token too late".
[[nodiscard]] const char* to_string(Verdict verdict) noexcept;

/// One way to serve a request. Times are expected ones; with its margin a time is kept at the asked confidence.
struct Strategy {
  int level = 0;
  double width = 1.0;        ///< cost share of the level
  double keep_ratio = 1.0;   ///< share of the compressible tokens that stay
  bool reuse_cache = false;  ///< the cached prefix stays as it is, and only what follows is shortened
  std::int32_t n_keep_tokens = 0;     ///< compressible tokens that stay, cached ones included
  std::int32_t n_prefill_tokens = 0;  ///< that are to be computed
  std::int32_t n_reused_tokens = 0;   ///< that come from the cache
  std::int32_t n_refine_words = 0;    ///< that the refiner reads
  double ttft_ms = 0.0;         ///< elapsed_ms included
  double tpot_ms = 0.0;
  double ttft_margin_ms = 0.0;  ///< ttft_ms + ttft_margin_ms <= target where feasible
  double tpot_margin_ms = 0.0;
  double expected_quality = 0.0;
  Verdict verdict = Verdict::kLowerQuality;
};

/// The answer of SLOPlanner::plan(). The strategy's members say what to run.
struct Plan : Strategy {
  bool feasible = false;  ///< both targets are met at the asked confidence
  bool accepted = false;  ///< feasible, or best effort was asked for; otherwise the strategy only shows the least overshoot
  Slo slo;                ///< the targets in milliseconds that the plan was made for
  std::vector<Strategy> alternatives;  ///< the runners-up, best first: feasible ones by quality, then by overshoot
  std::string reason;                  ///< in words
};

/// What a request really took. Phases without a count are ignored; a request whose level changed is told in parts.
struct Observation {
  int level = 0;
  std::int32_t n_refine_words = 0;
  double refine_ms = 0.0;
  std::int32_t n_prefill_tokens = 0, n_cached_tokens = 0;  ///< computed, and in the cache before
  double prefill_ms = 0.0;                                 ///< to the first token, refiner and queue not included
  std::int32_t n_decoded_tokens = 0;                       ///< after the first
  std::int32_t context_tokens = 0;                         ///< position of the first of them
  double decode_ms = 0.0;                                  ///< of all of them
};

/// A predicted time and what is to be added to keep it at a confidence.
struct Prediction {
  double ms = 0.0;
  double margin_ms = 0.0;
  [[nodiscard]] double with_margin() const noexcept { return ms + margin_ms; }
};

struct PlannerOptions {
  /// Measured with calibrate(). One that is foreign is ignored (see SLOPlanner::profile_note); without one the first
  /// plan() or prediction times a few tokens, or, with probe = false, guesses. Requests then teach the planner.
  std::optional<DeviceProfile> profile;
  bool probe = true;
  std::size_t threads = 0;         ///< of the sessions; 0: the model's pool
  KvType kv_type = KvType::kF16;   ///< of the sessions
  std::vector<double> keep_ratios; ///< to choose from, (0, 1]; empty: 0.1, 0.2 ... 1.0. 1 is always among them
  bool learn = true;               ///< false: observe() does nothing (ablation)
};

/// Thread-safe: plan(), predictions and observe() may be called at the same time. A plan takes some 10 microseconds.
class SLOPlanner {
 public:
  /// kInvalidArgument for a null model and for keep ratios outside (0, 1].
  [[nodiscard]] static Result<std::shared_ptr<SLOPlanner>> create(std::shared_ptr<const ElasticModel> model,
                                                                  PlannerOptions options = {});

  SLOPlanner(const SLOPlanner&) = delete;
  SLOPlanner& operator=(const SLOPlanner&) = delete;

  /// Of all levels and keep ratios, and of reusing the cached prefix or shortening it, the strategy with the highest
  /// expected quality among those that meet both targets at the asked confidence; of equal ones the fastest. Counts
  /// that contradict each other are clamped (cached tokens to the prompt, confidence to its range).
  [[nodiscard]] Plan plan(const PlanRequest& request) const;

  /// Learns from what was measured, in any order and from any thread. Times that are not positive are ignored.
  void observe(const Observation& observation);
  /// Forgets what was observed.
  void forget();

  /// To the first token: refiner, then n_prefill_tokens on top of n_cached_tokens at a level. 0 words: no refiner.
  [[nodiscard]] Prediction predict_ttft(int level, std::int32_t n_prefill_tokens, std::int32_t n_cached_tokens = 0,
                                        std::int32_t n_refine_words = 0, double confidence = 0.99) const;
  /// A token at a level with context_tokens before it.
  [[nodiscard]] Prediction predict_tpot(int level, std::int32_t context_tokens, double confidence = 0.99) const;

  /// What the full model takes for the whole prompt without a cache, margins included, as calibrated: what shares are
  /// shares of. Not moved by what was observed, so that targets stay where they are when the machine slows.
  [[nodiscard]] Slo full_latency(const PlanRequest& request) const;
  /// The request's shares in milliseconds.
  [[nodiscard]] Slo slo_of(const SloShares& shares, const PlanRequest& request) const;
  /// The request's targets as shares, at most 1 each: the input of the decision head.
  [[nodiscard]] SloShares shares_of(const Slo& slo, const PlanRequest& request) const;

  /// Measured over calibrated time of a phase in the last requests: 1 as calibrated, 2 at half the speed.
  [[nodiscard]] double drift(Phase phase) const;

  /// Expected quality without a decision head: the model's table or the default.
  [[nodiscard]] double expected_quality(int level, double keep_ratio) const noexcept;

  /// Where predictions come from, and why a given profile was not used.
  [[nodiscard]] std::string profile_note() const;
  [[nodiscard]] const ElasticModel& model() const noexcept;

 private:
  struct Impl;
  explicit SLOPlanner(std::unique_ptr<Impl> impl) noexcept;
  std::unique_ptr<Impl> impl_;
};

}  // namespace elms::inline v0
