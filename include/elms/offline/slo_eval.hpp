// How well ways to choose width and keep ratio serve a trace of requests with targets: in time, and right.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "elms/device_profile.hpp"
#include "elms/elastic_model.hpp"
#include "elms/offline/progress.hpp"
#include "elms/offline/tasks.hpp"
#include "elms/prompt_refiner.hpp"
#include "elms/slo.hpp"
#include "elms/status.hpp"

namespace elms::inline v0::offline {

/// Requests with the same targets: shares of what the full model takes for the request as calibrated, margins
/// included (SLOPlanner::full_latency).
struct SloClass {
  std::string name;
  SloShares shares;
};

/// The six classes of ELMS's end-to-end traces (arXiv 2409.09071, section 5): loosest first.
[[nodiscard]] std::vector<SloClass> six_slo_classes();

/// Who chooses how a request is served.
enum class SloStrategy : std::uint8_t {
  kElms,           ///< ElasticService with all that it has
  kFull,           ///< the full model, the whole prompt
  kStatic,         ///< one level for all, the whole prompt: one contender for each level below full
  kWidthOnly,      ///< as kElms, but prompts stay whole
  kPromptOnly,     ///< as kElms, but always the full model
  kPaperRule,      ///< ELMS's: the largest width <= the TPOT share whose product with a keep ratio is <= the
                   ///< TTFT share; no clock is looked at
  kLayerDropping,  ///< whole layers go, those first without which the loss is least: the deepest model that
                   ///< is predicted to be in time; one dense model in memory for each depth
  kRandom,         ///< any strategy that is predicted to be in time
  kOracle,  ///< knows beforehand which strategies answer right: the fastest right one predicted to be in time
  kElmsTable,    ///< ablation: kElms without the decision head
  kElmsFixed,    ///< ablation: kElms that does not learn from requests
  kElmsUnpaced,  ///< ablation: kElms that does not narrow while it decodes
  kElmsOffline,  ///< ablation: neither learns nor narrows
};
/// "elms", "full", "static", "width-only", "prompt-only", "paper-rule", "layer-dropping", "random", "oracle",
/// "elms-table", "elms-fixed", "elms-unpaced", "elms-offline". Static storage.
[[nodiscard]] const char* to_string(SloStrategy strategy) noexcept;
[[nodiscard]] std::optional<SloStrategy> parse_slo_strategy(std::string_view name) noexcept;
/// All but the ablations.
[[nodiscard]] std::vector<SloStrategy> default_slo_strategies();

struct SloEvalOptions {
  std::shared_ptr<const ElasticModel> model;
  std::shared_ptr<const PromptRefiner> refiner;  ///< null: no prompt is ever cut
  std::optional<DeviceProfile> profile;  ///< with the refiner's law, if there is one; none: calibrated first
  double calibration_seconds = 15.0;

  std::vector<SloStrategy> strategies = default_slo_strategies();
  std::vector<SloClass> classes = six_slo_classes();
  std::vector<double> keep_ratios = {0.2, 0.4, 0.6, 0.8};  ///< to choose from, beside 1
  std::int64_t n_requests = 300;
  std::uint64_t trace_seed = 1;
  /// Which classes come often: class i of n (loosest first) has weight exp(skew (2 i / (n - 1) - 1)), so that
  /// 0 is even and positive values prefer tight targets.
  double skew = 0.0;
  /// Requests arrive as a Poisson process at this share of what the full model could serve.
  double load = 0.25;
  std::int32_t max_answer_tokens = 24;
  double confidence = 0.99;
  std::int32_t n_pieces = 4;  ///< the trace is cut up, and strategies take turns at each piece
  /// Time is the CPU time of one thread and requests run one after another: what a quiet machine would show,
  /// whatever else runs on this one. For a model whose pool has one thread.
  bool cpu_time = false;
  bool noise = false;       ///< another thread burns a core in random bursts, half of the time
  std::string scratch_dir;  ///< for models without some layers; empty: the system's temporary folder
  ProgressCallback progress;
};

/// Quantiles of measured time over target, of requests with such a time.
struct OverTarget {
  double p50 = 0.0, p95 = 0.0, p99 = 0.0;
};

/// What became of some requests. Shares are of n; a request that failed or was not run is neither right nor
/// in time. An answer of one token has no TPOT, which then counts as met.
struct SloScore {
  std::int64_t n = 0;
  std::int64_t n_feasible =
      0;  ///< some strategy of kElms is predicted to meet both targets, alone on the machine
  std::int64_t n_promised =
      0;                  ///< predicted in time when they were planned, behind what they had to wait for
  double accuracy = 0.0;  ///< the answer's first line is the right choice
  double accuracy_in_time = 0.0;                                    ///< right, and both targets met
  double ttft_attained = 0.0, tpot_attained = 0.0, attained = 0.0;  ///< target met; both
  double attained_of_feasible = 0.0, attained_of_promised = 0.0;    ///< both met, of those
  OverTarget ttft_over_target, tpot_over_target;
  double mean_width = 0.0, mean_keep_ratio = 0.0;  ///< as planned
};

struct SloStrategyResult {
  std::string name;                 ///< to_string(), of kStatic with its width: "static-0.50"
  std::vector<SloScore> per_class;  ///< [n_classes]
  SloScore total;
  double mean_ttft_ms = 0.0, mean_refine_ms = 0.0, mean_plan_ms = 0.0;  ///< refine: with the decision head
  std::int64_t n_level_changes = 0;                                     ///< while decoding
  std::uint64_t memory_bytes = 0;  ///< weights of all its models, and KV caches
};

struct SloEvalResult {
  std::vector<SloClass> classes;
  std::vector<SloStrategyResult> strategies;
  Slo mean_full;  ///< full latency of the trace's requests, ms
  double mean_prompt_tokens = 0.0;
  double answerable = 0.0;  ///< requests that some strategy answers right; 0 without an oracle
  double seconds = 0.0;     ///< that the trace takes once
};

/// Draws requests from the tasks (each prompt cut as task_segments() says), gives them classes and arrivals,
/// and replays the trace in real time through an ElasticService for each strategy. The same trace, targets
/// and profile for all. Takes about seconds times the number of contenders. kInvalidArgument for options that
/// cannot be and tasks without items; kNotFound without a tokenizer; kCancelled; what opening and running
/// models fails with.
[[nodiscard]] Result<SloEvalResult> evaluate_slo(std::span<const TaskFile> tasks,
                                                 const SloEvalOptions& options);

}  // namespace elms::inline v0::offline
