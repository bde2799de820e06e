// SLOPlanner: the width and the prompt's keep ratio with which a request meets its targets and is answered
// best.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "elms/detail/error.hpp"
#include "elms/detail/latency_model.hpp"
#include "elms/detail/probe_profile.hpp"
#include "elms/detail/strategies.hpp"
#include "elms/device_profile.hpp"
#include "elms/elastic_model.hpp"
#include "elms/planning.hpp"
#include "elms/slo.hpp"
#include "elms/status.hpp"

namespace elms::inline v0 {

struct PlannerOptions {
  /// Measured with calibrate(). One that is foreign is ignored (see SLOPlanner::profile_note); without one
  /// the first plan() or prediction times a few tokens, or, with probe = false, guesses. Requests then teach
  /// the planner.
  std::optional<DeviceProfile> profile;
  bool probe = true;
  std::size_t threads = 0;        ///< of the sessions; 0: the model's pool
  KvType kv_type = KvType::kF16;  ///< of the sessions
  std::vector<double>
      keep_ratios;          ///< to choose from, (0, 1]; empty: 0.1, 0.2 ... 1.0. 1 is always among them
  std::vector<int> levels;  ///< to choose from; empty: all of the model
  bool learn = true;        ///< false: observe() does nothing (ablation)
};

/// Thread-safe: plan(), predictions and observe() may be called at the same time. A plan takes some 10
/// microseconds.
class SLOPlanner {
 public:
  /// kInvalidArgument for a null model, for keep ratios outside (0, 1] and for levels that there are not.
  [[nodiscard]] static Result<std::shared_ptr<SLOPlanner>> create(std::shared_ptr<const ElasticModel> model,
                                                                  PlannerOptions options = {});

  SLOPlanner(const SLOPlanner&) = delete;
  SLOPlanner& operator=(const SLOPlanner&) = delete;

  /// Of all levels and keep ratios, and of reusing the cached prefix or shortening it, the strategy with the
  /// highest expected quality among those that meet both targets at the asked confidence; of equal ones the
  /// fastest. Counts that contradict each other are clamped (cached tokens to the prompt, confidence to its
  /// range). Without memory to compare strategies in it accepts none, with the verdict kOutOfMemory.
  [[nodiscard]] Plan plan(const PlanRequest& request) const;

  /// The plan whose level and keep ratio (clamped to what there is; what is no number counts as 1) the caller
  /// chooses: predicted, and accepted whatever its times.
  [[nodiscard]] Plan plan_for(const PlanRequest& request, int level, double keep_ratio) const;

  /// Learns from what was measured, in any order and from any thread. Times that are not positive are
  /// ignored.
  void observe(const Observation& observation);
  /// Forgets what was observed.
  void forget();

  /// To the first token: refiner, then n_prefill_tokens on top of n_cached_tokens at a level. 0 words: no
  /// refiner. Cutting is not included.
  [[nodiscard]] Prediction predict_ttft(int level, std::int32_t n_prefill_tokens,
                                        std::int32_t n_cached_tokens = 0, std::int32_t n_refine_words = 0,
                                        double confidence = 0.99) const;
  /// The refiner's pass over n_words.
  [[nodiscard]] Prediction predict_refine(std::int32_t n_words, double confidence = 0.99) const;
  /// Choosing what stays of n_words, and encoding it.
  [[nodiscard]] Prediction predict_cut(std::int32_t n_words, double confidence = 0.99) const;
  /// The mean of n_tokens tokens at a level with about context_tokens before them.
  [[nodiscard]] Prediction predict_tpot(int level, std::int32_t context_tokens, double confidence = 0.99,
                                        std::int32_t n_tokens = 64) const;

  /// What the full model takes for the whole prompt without a cache, margins included, as calibrated: what
  /// shares are shares of. Not moved by what was observed, so that targets stay where they are when the
  /// machine slows.
  [[nodiscard]] Slo full_latency(const PlanRequest& request) const;
  /// The request's shares in milliseconds.
  [[nodiscard]] Slo slo_of(const SloShares& shares, const PlanRequest& request) const;
  /// The request's targets as shares, at most 1 each: the input of the decision head.
  [[nodiscard]] SloShares shares_of(const Slo& slo, const PlanRequest& request) const;

  /// Measured over calibrated time of a phase in the last requests: 1 as calibrated, 2 at half the speed.
  [[nodiscard]] double drift(Phase phase) const;

  /// Expected quality without a decision head: the model's table (elms.quality.* keys) or the default.
  [[nodiscard]] double expected_quality(int level, double keep_ratio) const noexcept;

  /// Where predictions come from, and why a given profile was not used.
  [[nodiscard]] std::string profile_note() const;
  [[nodiscard]] const ElasticModel& model() const noexcept { return *model_; }
  [[nodiscard]] std::span<const double> keep_ratios() const noexcept { return keep_ratios_; }

 private:
  SLOPlanner(std::shared_ptr<const ElasticModel> model, PlannerOptions options)
      : model_(std::move(model)), options_(std::move(options)) {}

  static Result<std::shared_ptr<SLOPlanner>> create_now(std::shared_ptr<const ElasticModel> model,
                                                        PlannerOptions options);
  Status init_keep_ratios();
  Status init_levels();
  void init_profile();
  /// Times a few tokens where nothing better is known; once.
  void ensure_probed() const;
  void probe() const;
  [[nodiscard]] Result<Plan> plan_now(const PlanRequest& given) const;
  [[nodiscard]] std::array<detail::PhaseState, kPhaseCount> states(double confidence) const;
  /// As calibrated: nothing that was observed.
  [[nodiscard]] std::array<detail::PhaseState, kPhaseCount> calibrated_states(double confidence) const;
  [[nodiscard]] std::vector<detail::StrategyCandidate> candidates(const PlanRequest& request,
                                                                  const Slo& slo) const;
  void learn(Phase phase, double measured_ms, double law_ms);

  std::shared_ptr<const ElasticModel> model_;
  PlannerOptions options_;
  std::size_t n_threads_ = 1;
  std::vector<double> keep_ratios_;         ///< ascending, the last is 1
  std::vector<int> levels_;                 ///< to choose from
  std::optional<StrategyQualities> table_;  ///< of the model
  mutable std::once_flag probe_once_;
  mutable detail::LatencyModel latency_;  ///< written by init_profile() or once by ensure_probed()
  mutable std::string note_;
  mutable std::mutex mutex_;  ///< guards drift_
  std::array<detail::DriftTracker, kPhaseCount> drift_;
};

inline Result<std::shared_ptr<SLOPlanner>> SLOPlanner::create(std::shared_ptr<const ElasticModel> model,
                                                              PlannerOptions options) {
  return detail::or_out_of_memory([&] { return create_now(std::move(model), std::move(options)); });
}

inline Result<std::shared_ptr<SLOPlanner>> SLOPlanner::create_now(std::shared_ptr<const ElasticModel> model,
                                                                  PlannerOptions options) {
  if (model == nullptr) return detail::invalid_argument("planner: the model is null");
  std::unique_ptr<SLOPlanner> planner(new (std::nothrow) SLOPlanner(std::move(model), std::move(options)));
  if (planner == nullptr) return Status(StatusCode::kOutOfMemory, "planner");
  ELMS_RETURN_IF_ERROR(planner->init_keep_ratios());
  ELMS_RETURN_IF_ERROR(planner->init_levels());
  const auto& elastic = planner->model_->elastic_metadata();
  if (elastic.has_value() && elastic->qualities.has_value()) planner->table_ = elastic->qualities;
  planner->init_profile();
  return std::shared_ptr<SLOPlanner>(std::move(planner));
}

inline Status SLOPlanner::init_keep_ratios() {
  keep_ratios_ = options_.keep_ratios;
  if (keep_ratios_.empty()) {
    for (int tenth = 1; tenth <= 10; ++tenth) keep_ratios_.push_back(tenth / 10.0);
  }
  for (const double ratio : keep_ratios_) {
    if (!(ratio > 0.0 && ratio <= 1.0))
      return detail::invalid_argument("planner: keep ratio ", ratio,
                                      ": expected a number above 0, at most 1");
  }
  keep_ratios_.push_back(1.0);
  std::sort(keep_ratios_.begin(), keep_ratios_.end());
  keep_ratios_.erase(std::unique(keep_ratios_.begin(), keep_ratios_.end()), keep_ratios_.end());
  return {};
}

inline Status SLOPlanner::init_levels() {
  const int n_levels = static_cast<int>(model_->levels().size());
  levels_ = options_.levels;
  for (int level = 0; options_.levels.empty() && level < n_levels; ++level) levels_.push_back(level);
  for (const int level : levels_) {
    if (level < 0 || level >= n_levels)
      return detail::invalid_argument("planner: level ", level, ": the model has levels 0 to ", n_levels - 1);
  }
  return {};
}

inline void SLOPlanner::init_profile() {
  n_threads_ = options_.threads == 0 ? model_->pool()->n_threads() : options_.threads;
  const ProfileKey wanted = profile_key(*model_, n_threads_, options_.kv_type);
  if (options_.profile.has_value()) {
    const Status fits = options_.profile->check(wanted);
    if (fits.ok()) {
      note_ = options_.profile->key.threads == wanted.threads
                  ? "calibrated"
                  : detail::concat("calibrated with ", options_.profile->key.threads, " threads, scaled to ",
                                   wanted.threads);
      latency_ = detail::LatencyModel(*model_, std::move(*options_.profile), n_threads_);
      options_.profile.reset();
      options_.probe = false;
      return;
    }
    note_ = detail::concat("the profile is ignored: ", fits.message(), "; ");
    options_.profile.reset();
  }
  latency_ = detail::LatencyModel(*model_, detail::guessed_profile(wanted), n_threads_);
  if (!options_.probe) note_ += "guessed; requests will teach it";
}

inline void SLOPlanner::ensure_probed() const {
  if (!options_.probe) return;
  std::call_once(probe_once_, [this] {
    // Without memory the guess stays.
    static_cast<void>(detail::or_out_of_memory([this] {
      probe();
      return Status();
    }));
  });
}

inline void SLOPlanner::probe() const {
  Result<DeviceProfile> probed = detail::probe_profile(model_, latency_, options_.kv_type);
  if (probed.has_value()) {
    latency_ = detail::LatencyModel(*model_, std::move(*probed), n_threads_);
    note_ += "a few tokens were timed; requests will teach it";
  } else {
    note_ += detail::concat("guessed, since timing a few tokens failed (", probed.error().message(), ")");
  }
}

inline std::array<detail::PhaseState, kPhaseCount> SLOPlanner::states(double confidence) const {
  const std::lock_guard lock(mutex_);
  std::array<detail::PhaseState, kPhaseCount> out;
  for (std::size_t i = 0; i < kPhaseCount; ++i)
    out[i] = latency_.state(static_cast<Phase>(i), drift_[i], confidence);
  return out;
}

inline std::array<detail::PhaseState, kPhaseCount> SLOPlanner::calibrated_states(double confidence) const {
  std::array<detail::PhaseState, kPhaseCount> out;
  for (std::size_t i = 0; i < kPhaseCount; ++i)
    out[i] = latency_.state(static_cast<Phase>(i), {}, confidence);
  return out;
}

inline std::vector<detail::StrategyCandidate> SLOPlanner::candidates(const PlanRequest& request,
                                                                     const Slo& slo) const {
  const auto states_now = states(request.confidence);
  const detail::StrategyJudge judge(latency_, model_->levels(), request, slo, states_now);
  const StrategyQualities* grid = nullptr;
  if (request.qualities.has_value() && request.qualities->valid()) grid = &*request.qualities;
  const bool may_cut = request.may_refine && request.n_compressible_tokens > 0;
  // Reuse differs from compressing anew only where the cache holds compressible tokens.
  const bool two_ways = request.n_cached_compressible_tokens > 0;
  std::vector<detail::StrategyCandidate> out;
  out.reserve(levels_.size() * keep_ratios_.size() * 2);
  for (const int level : levels_) {
    const double width = model_->levels()[static_cast<std::size_t>(level)].cost_share;
    const auto quality = [&](double keep) {
      return grid != nullptr ? detail::interpolate(*grid, width, keep) : expected_quality(level, keep);
    };
    const auto add = [&](double keep, bool reuse) {
      detail::StrategyCandidate candidate{judge.strategy(level, keep, reuse, 0.0)};
      // With a reused prefix less is cut than the ratio says: what counts is the share that really stays.
      const double kept =
          request.n_compressible_tokens == 0
              ? 1.0
              : static_cast<double>(candidate.strategy.n_keep_tokens) / request.n_compressible_tokens;
      candidate.strategy.expected_quality = quality(reuse && two_ways ? kept : keep);
      candidate.overshoot = judge.overshoot(candidate.strategy);
      candidate.total_ms = judge.total_ms(candidate.strategy);
      candidate.infeasible_rank =
          detail::infeasible_rank(candidate.overshoot, candidate.strategy.expected_quality, request.policy);
      out.push_back(candidate);
    };
    for (const double keep : keep_ratios_) {
      if (keep < 1.0 && !may_cut) continue;
      if (keep == 1.0) {
        add(keep, request.n_cached_tokens > 0);
        continue;
      }
      if (two_ways && request.n_cached_compressible_tokens < request.n_compressible_tokens) add(keep, true);
      add(keep, !two_ways && request.n_cached_tokens > 0);
    }
  }
  return out;
}

inline Plan SLOPlanner::plan(const PlanRequest& given) const {
  ensure_probed();
  Result<Plan> plan = detail::or_out_of_memory([&] { return plan_now(given); });
  if (plan.has_value()) return *std::move(plan);
  Plan none;
  none.verdict = Verdict::kOutOfMemory;
  none.reason = to_string(none.verdict);
  return none;
}

inline Result<Plan> SLOPlanner::plan_now(const PlanRequest& given) const {
  PlanRequest request = detail::tidy(given);
  if (request.context_tokens <= 0) request.context_tokens = model_->config().context_length;
  const Slo slo = request.shares.has_value() ? slo_of(*request.shares, request) : request.slo;
  std::vector<detail::StrategyCandidate> all = candidates(request, slo);
  return detail::choose(all, request, slo);
}

inline Plan SLOPlanner::plan_for(const PlanRequest& given, int level, double keep_ratio) const {
  ensure_probed();
  const PlanRequest request = detail::tidy(given);
  level = std::clamp(level, 0, latency_.n_levels() - 1);
  keep_ratio = std::isfinite(keep_ratio) ? std::clamp(keep_ratio, 0.0, 1.0) : 1.0;
  Plan plan;
  plan.slo = request.shares.has_value() ? slo_of(*request.shares, request) : request.slo;
  const auto states_now = states(request.confidence);
  const detail::StrategyJudge judge(latency_, model_->levels(), request, plan.slo, states_now);
  const auto quality = [&](int other) { return expected_quality(other, keep_ratio); };
  static_cast<Strategy&>(plan) =
      judge.strategy(level, keep_ratio, request.n_cached_tokens > 0 && keep_ratio == 1.0, quality(level));
  plan.narrowest_level = detail::narrowest_worthwhile(level, quality);
  plan.verdict = Verdict::kChosen;
  plan.feasible = plan.accepted = true;
  return plan;
}

inline void SLOPlanner::learn(Phase phase, double measured_ms, double law_ms) {
  if (!(measured_ms > 0.0) || !(law_ms > 0.0) || !std::isfinite(measured_ms)) return;
  const std::lock_guard lock(mutex_);
  drift_[static_cast<std::size_t>(phase)].add(std::log(measured_ms / law_ms), law_ms);
}

inline void SLOPlanner::observe(const Observation& seen) {
  ensure_probed();
  if (!options_.learn || seen.level < 0 || seen.level >= latency_.n_levels()) return;
  if (seen.n_refine_words > 0) learn(Phase::kRefine, seen.refine_ms, latency_.refine_ms(seen.n_refine_words));
  if (seen.n_cut_words > 0) learn(Phase::kCut, seen.cut_ms, latency_.cut_ms(seen.n_cut_words));
  if (seen.n_prefill_tokens > 0) {
    learn(Phase::kPrefill, seen.prefill_ms,
          latency_.prefill_ms(seen.level, seen.n_prefill_tokens, seen.n_cached_tokens));
  }
  if (seen.n_decoded_tokens > 0) {
    const double middle = seen.context_tokens + (seen.n_decoded_tokens - 1) / 2.0;
    learn(Phase::kDecode, seen.decode_ms, latency_.decode_ms(seen.level, middle) * seen.n_decoded_tokens);
  }
}

inline void SLOPlanner::forget() {
  const std::lock_guard lock(mutex_);
  for (detail::DriftTracker& tracker : drift_) tracker.clear();
}

inline Prediction SLOPlanner::predict_ttft(int level, std::int32_t n_prefill_tokens,
                                           std::int32_t n_cached_tokens, std::int32_t n_refine_words,
                                           double confidence) const {
  ensure_probed();
  const auto now = states(confidence);
  const double refine = n_refine_words > 0 ? latency_.refine_ms(n_refine_words) * now[0].factor : 0.0;
  const double prefill = latency_.prefill_ms(level, n_prefill_tokens, n_cached_tokens) * now[1].factor;
  return {refine + prefill, std::hypot(now[0].margin_ms(refine), now[1].margin_ms(prefill))};
}

inline Prediction SLOPlanner::predict_refine(std::int32_t n_words, double confidence) const {
  ensure_probed();
  const auto now = states(confidence);
  const double ms = n_words > 0 ? latency_.refine_ms(n_words) * now[0].factor : 0.0;
  return {ms, now[0].margin_ms(ms)};
}

inline Prediction SLOPlanner::predict_cut(std::int32_t n_words, double confidence) const {
  ensure_probed();
  const auto now = states(confidence);
  const double ms = n_words > 0 ? latency_.cut_ms(n_words) * now[3].factor : 0.0;
  return {ms, now[3].margin_ms(ms)};
}

inline Prediction SLOPlanner::predict_tpot(int level, std::int32_t context_tokens, double confidence,
                                           std::int32_t n_tokens) const {
  ensure_probed();
  const auto now = states(confidence);
  const double ms = latency_.decode_ms(level, context_tokens) * now[2].factor;
  return {ms, now[2].margin_of_mean_ms(ms, n_tokens)};
}

inline Slo SLOPlanner::full_latency(const PlanRequest& given) const {
  ensure_probed();
  const PlanRequest request = detail::tidy(given);
  const auto calibrated = calibrated_states(request.confidence);
  const int full = latency_.n_levels() - 1;
  const std::int32_t n_prompt = std::max(1, request.n_protected_tokens + request.n_compressible_tokens);
  const double ttft = latency_.prefill_ms(full, n_prompt, 0);
  const double tpot = latency_.decode_ms(full, n_prompt + request.n_output_tokens / 2.0);
  return {ttft + calibrated[1].margin_ms(ttft),
          tpot + calibrated[2].margin_of_mean_ms(tpot, request.n_output_tokens - 1)};
}

inline Slo SLOPlanner::slo_of(const SloShares& shares, const PlanRequest& request) const {
  constexpr double kRounding = 1.0 + 1e-9;  // so that a share of 1 is met by what it is a share of
  const Slo full = full_latency(request);
  return {full.ttft_ms * std::max(0.0, shares.ttft) * kRounding,
          full.tpot_ms * std::max(0.0, shares.tpot) * kRounding};
}

inline SloShares SLOPlanner::shares_of(const Slo& slo, const PlanRequest& request) const {
  const Slo full = full_latency(request);
  const auto share = [](double target, double whole) {
    constexpr double kLeast = 1e-3;
    return whole > 0.0 ? std::clamp(target / whole, kLeast, 1.0) : 1.0;
  };
  return {share(slo.ttft_ms - std::max(0.0, request.elapsed_ms), full.ttft_ms),
          share(slo.tpot_ms, full.tpot_ms)};
}

inline double SLOPlanner::drift(Phase phase) const {
  const std::lock_guard lock(mutex_);
  return std::exp(drift_[static_cast<std::size_t>(phase)].level());
}

inline double SLOPlanner::expected_quality(int level, double keep_ratio) const noexcept {
  const auto index =
      static_cast<std::size_t>(std::clamp(level, 0, static_cast<int>(model_->levels().size()) - 1));
  const double width = model_->levels()[index].cost_share;
  return table_.has_value() ? detail::interpolate(*table_, width, keep_ratio)
                            : detail::default_quality(width, keep_ratio);
}

inline std::string SLOPlanner::profile_note() const {
  ensure_probed();
  return note_;
}

}  // namespace elms::inline v0
