// The timed rounds of a calibration, and the fit of their times.
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include "elms/calibration.hpp"
#include "elms/chat_template.hpp"
#include "elms/detail/latency_model.hpp"
#include "elms/detail/probe_profile.hpp"
#include "elms/refine.hpp"
#include "elms/session.hpp"
#include "elms/tokenizer.hpp"

namespace elms::inline v0::detail {

/// Which points to time: chosen so that a round of them takes about a sixth of the time there is.
struct CalibrationPlan {
  std::vector<int> levels, held_out_levels;
  std::vector<std::int32_t> lengths, held_out_lengths;    ///< of prompts, nothing cached
  std::vector<std::int32_t> contexts, held_out_contexts;  ///< for decoding and for prompts on top of a cache
};

class Calibrator {
 public:
  Calibrator(std::shared_ptr<const ElasticModel> model, const CalibrationOptions& options)
      : model_(std::move(model)), options_(options) {}

  Result<Calibration> run() {
    const double start = clock_ms();
    if (const auto tokenizer = model_->tokenizer(); tokenizer.has_value()) tokenizer_ = *tokenizer;
    ELMS_RETURN_IF_ERROR(make_sessions());
    ELMS_RETURN_IF_ERROR(plan());
    list_points();
    ELMS_RETURN_IF_ERROR(time_points());
    fit();
    result_.profile.seconds = (clock_ms() - start) / 1e3;
    return std::move(result_);
  }

 private:
  [[nodiscard]] double clock_ms() const { return options_.clock_ms ? options_.clock_ms() : now_ms(); }

  static constexpr std::int32_t kCachedPrompt = 16;  ///< tokens of a prompt on top of a cache
  static constexpr double kUndisturbed =
      0.1;                              ///< quantile of the runs that others on the machine disturb least
  static constexpr int kDecodeRun = 4;  ///< tokens that are timed together

  [[nodiscard]] std::int32_t longest() const noexcept {
    return std::min(options_.max_tokens, model_->config().context_length - kCachedPrompt - kDecodeRun - 2);
  }

  Status make_sessions() {
    if (longest() < 8)
      return invalid_argument("calibrate: a context of ", model_->config().context_length,
                              " tokens is too short");
    SessionOptions session;
    session.context_tokens = longest() + kCachedPrompt + kDecodeRun + 2;
    session.batch_tokens = options_.batch_tokens;
    session.kv_type = options_.kv_type;
    session.pool = options_.pool;
    ELMS_ASSIGN_OR_RETURN(Session empty, Session::create(model_, session));
    sessions_.push_back(std::move(empty));
    tokens_ = spread_tokens(model_->config().n_vocab, session.context_tokens);
    n_threads_ = options_.pool == nullptr ? model_->pool()->n_threads() : options_.pool->n_threads();
    session_options_ = session;
    return {};
  }

  /// Milliseconds of a prompt at a level on top of what the session holds.
  Result<double> time_prompt(Session& session, int level, std::int32_t n_tokens) {
    ELMS_RETURN_IF_ERROR(session.set_level(level));
    const double start = clock_ms();
    ELMS_RETURN_IF_ERROR(session.prefill(std::span(tokens_).first(static_cast<std::size_t>(n_tokens))));
    return clock_ms() - start;
  }

  /// Lengths and contexts by what a first prompt of the full model says.
  Status plan() {
    const int top = static_cast<int>(model_->levels().size()) - 1;
    Session& session = sessions_.front();
    double per_token = 0.0;
    for (int i = 0; i < 2; ++i) {  // the first touches the weights for the first time
      session.reset();
      ELMS_ASSIGN_OR_RETURN(per_token, time_prompt(session, top, 8));
      per_token /= 8.0;
    }
    const double round_ms = options_.seconds * 1e3 / 6.0;
    std::vector<int> shown;  // every other level where that is cheap, else the ends and one or two between
    const int n_shown = std::clamp(static_cast<int>(round_ms / (per_token * 100.0)), 3, 5);
    for (int i = 0; i < n_shown; ++i)
      shown.push_back(static_cast<int>(std::lround(static_cast<double>(top) * i / (n_shown - 1))));
    shown.erase(std::unique(shown.begin(), shown.end()), shown.end());
    plan_.levels = shown;
    for (int level = 0; level <= top; ++level) {
      if (std::find(shown.begin(), shown.end(), level) == shown.end()) plan_.held_out_levels.push_back(level);
    }
    if (plan_.held_out_levels.empty()) plan_.held_out_levels = shown;

    double shares = 0.0;
    for (const int level : shown) shares += model_->levels()[static_cast<std::size_t>(level)].cost_share;
    // Lengths of a round grow from 4 by halves of the longest that the time allows: 4, L/8, L/4, L/2, L.
    std::int32_t longest_length = longest();
    while (longest_length > 24 && per_token * shares * 1.9 * longest_length > round_ms * 0.75)
      longest_length -= longest_length / 8;
    const auto part = [&](double share, std::int32_t least) {
      return std::min(longest(),
                      std::max(least, static_cast<std::int32_t>(std::lround(longest_length * share))));
    };
    plan_.lengths = {8, part(0.12, 12), part(0.25, 16), part(0.5, 20), part(1.0, 24)};
    plan_.held_out_lengths = {part(0.18, 10), part(0.4, 18), part(0.75, 22)};
    // Contexts are filled once, by the narrowest level.
    const double narrow = model_->levels().front().cost_share;
    std::int32_t deepest = longest();
    while (deepest > 64 && per_token * narrow * 2.2 * deepest > options_.seconds * 1e3 * 0.2)
      deepest -= deepest / 8;
    plan_.contexts = {deepest / 3, deepest};
    plan_.held_out_contexts = {deepest * 2 / 3};
    return fill_contexts();
  }

  /// A session for each context, filled once: rewinding to it is free.
  Status fill_contexts() {
    std::vector<std::int32_t> contexts = plan_.contexts;
    if (options_.held_out_seconds > 0.0)
      contexts.insert(contexts.end(), plan_.held_out_contexts.begin(), plan_.held_out_contexts.end());
    for (const std::int32_t context : contexts) {
      ELMS_ASSIGN_OR_RETURN(Session session, Session::create(model_, session_options_));
      if (context > 0) ELMS_RETURN_IF_ERROR(to_status(time_prompt(session, 0, context)));
      sessions_.push_back(std::move(session));
    }
    return {};
  }

  struct Timed {
    TimedPoint point;
    std::size_t session = 0;
  };

  void list_points() {
    const auto add = [&](Phase phase, int level, std::int32_t n, std::int32_t context, std::size_t session,
                         bool held_out) {
      Timed timed;
      timed.point.phase = phase;
      timed.point.level = level;
      timed.point.n_tokens = n;
      timed.point.n_context = context;
      timed.point.held_out = held_out;
      timed.session = session;
      points_.push_back(std::move(timed));
    };
    const auto add_all = [&](const std::vector<int>& levels, const std::vector<std::int32_t>& lengths,
                             const std::vector<std::int32_t>& contexts, std::size_t first_session,
                             bool held_out) {
      for (const int level : levels) {
        add(Phase::kDecode, level, 1, 1, 0, held_out);
        for (std::size_t i = 0; i < lengths.size(); ++i) {
          if (i == 0 || lengths[i] > lengths[i - 1]) add(Phase::kPrefill, level, lengths[i], 0, 0, held_out);
        }
        for (std::size_t i = 0; i < contexts.size(); ++i) {
          add(Phase::kDecode, level, 1, contexts[i], first_session + i, held_out);
          add(Phase::kPrefill, level, kCachedPrompt, contexts[i], first_session + i, held_out);
        }
      }
    };
    add_all(plan_.levels, plan_.lengths, plan_.contexts, 1, false);
    if (options_.held_out_seconds > 0.0) {
      add_all(plan_.held_out_levels, plan_.held_out_lengths, plan_.held_out_contexts,
              1 + plan_.contexts.size(), true);
    }
    if (cuts()) {
      for (const std::int32_t words : {32, 96, 192}) add(Phase::kCut, 0, words, 0, 0, false);
    }
    if (options_.refine) {
      for (const std::int32_t words : {32, 96, 192}) add(Phase::kRefine, 0, words, 0, 0, false);
    }
  }

  [[nodiscard]] bool cuts() const noexcept { return tokenizer_ != nullptr; }

  /// Half of a text of n_words in lines, a question about one of them behind it.
  Result<double> time_cut(std::int32_t n_words) {
    constexpr std::int32_t kWordsPerLine = 12;
    std::string text;
    for (std::int32_t i = 0; i < n_words; ++i)
      text += concat("word", i * 7919 % 1000, (i + 1) % kWordsPerLine == 0 ? "\n" : " ");
    std::vector<Segment> prompt = {Segment::compress(std::move(text)),
                                   Segment::protect("What is said of word919?\n", SegmentRole::kQuestion)};
    const double start = clock_ms();
    const std::vector<float> scores(prompt_words(prompt, {}).size(), 0.0f);
    ELMS_ASSIGN_OR_RETURN(RefinedPrompt refined, refine_by_scores(prompt, scores, *tokenizer_,
                                                                  RefineBudget::keep(0.5).or_protected()));
    for (std::size_t i = 0; i < prompt.size(); ++i) prompt[i].text = std::move(refined.segments[i]);
    static_cast<void>(encode_segments(*tokenizer_, prompt, true));
    return clock_ms() - start;
  }

  Result<double> time_once(const Timed& timed) {
    const TimedPoint& point = timed.point;
    if (point.phase == Phase::kRefine) {
      const double start = clock_ms();
      ELMS_RETURN_IF_ERROR(options_.refine(point.n_tokens));
      return clock_ms() - start;
    }
    if (point.phase == Phase::kCut) return time_cut(point.n_tokens);
    Session& session = sessions_[timed.session];
    if (timed.session == 0) {
      session.reset();
    } else {
      ELMS_RETURN_IF_ERROR(session.rewind(point.n_context));
    }
    if (point.phase == Phase::kPrefill) return time_prompt(session, point.level, point.n_tokens);
    ELMS_RETURN_IF_ERROR(to_status(time_prompt(session, point.level, 1)));
    ELMS_RETURN_IF_ERROR(session.decode().error());  // samples only
    const double start = clock_ms();
    for (int i = 0; i < kDecodeRun; ++i) ELMS_RETURN_IF_ERROR(session.decode().error());
    return (clock_ms() - start) / kDecodeRun;
  }

  /// Half of the time without pauses, which keeps the clock up and shows what the work takes, and half with
  /// them, as requests come; by turns, since what else a machine does comes and goes. Where runs are so long
  /// that a pause is nothing to them, all with pauses.
  Status time_points() {
    constexpr double kLongRun = 10.0;  // times the pause
    TimedRuns steady{&TimedPoint::steady_ms, 0.0, {}}, paused{&TimedPoint::runs_ms, options_.pause_ms, {}};
    ELMS_RETURN_IF_ERROR(time_rounds(paused, 0.0, 0.0, 0.0));  // each once
    double sum_ms = 0.0;
    for (const Timed& timed : points_) sum_ms += timed.point.runs_ms.back();
    if (!(options_.pause_ms * kLongRun * static_cast<double>(points_.size()) > sum_ms))
      return time_rounds(paused, 0.0, 1.0, 1.0);
    constexpr int kTurns = 3;
    for (int turn = 0; turn < kTurns; ++turn) {
      const double begin = static_cast<double>(turn) / kTurns, end = static_cast<double>(turn + 1) / kTurns;
      const double middle = (begin + end) / 2.0;
      ELMS_RETURN_IF_ERROR(time_rounds(steady, begin, middle, end / 2.0));
      ELMS_RETURN_IF_ERROR(time_rounds(paused, middle, end, end / 2.0));
    }
    return {};
  }

  /// Runs of all points in one way.
  struct TimedRuns {
    std::vector<double> TimedPoint::*runs;
    double pause_ms;
    std::vector<double> spent_ms;  ///< [n_points], setting up included
  };

  /// Rounds over all points from one fraction of the time to another. A point that has had its share of what
  /// this way of timing gets by then (long ones, and those that the machine disturbed) waits for the others;
  /// each is timed at least once.
  Status time_rounds(TimedRuns& way, double from, double to, double budget_share) {
    constexpr std::size_t kLeastRuns = 3, kMaxRuns = 400;
    const double all_ms = (options_.seconds + options_.held_out_seconds) * 1e3;
    const double budget_ms = all_ms * (to - from);
    const double of_a_point = all_ms / static_cast<double>(std::max<std::size_t>(1, points_.size()));
    const double share = of_a_point * budget_share;
    const std::chrono::duration<double, std::milli> pause(
        std::clamp(way.pause_ms, 0.0, of_a_point / (4.0 * kLeastRuns)));
    const double start = clock_ms();
    way.spent_ms.resize(points_.size(), 0.0);
    for (bool any = true; any;) {
      any = false;
      for (std::size_t i = 0; i < points_.size(); ++i) {
        std::vector<double>& runs = points_[i].point.*way.runs;
        const double before = clock_ms();
        const bool late = before - start > budget_ms;
        const bool enough = runs.size() >= (late ? 1u : kLeastRuns);
        if (enough && (late || runs.size() >= kMaxRuns ||
                       way.spent_ms[i] + way.spent_ms[i] / static_cast<double>(runs.size()) > share))
          continue;
        if (pause.count() > 0.0) std::this_thread::sleep_for(pause);
        ELMS_ASSIGN_OR_RETURN(const double ms, time_once(points_[i]));
        runs.push_back(std::max(ms, 1e-6));
        way.spent_ms[i] += clock_ms() - before;
        any = true;
        const double done = budget_ms > 0.0 ? std::min(1.0, (clock_ms() - start) / budget_ms) : 0.0;
        if (options_.on_progress && options_.on_progress(from + done * (to - from)) == Flow::kStop) {
          return Status(StatusCode::kCancelled, "calibration was cancelled");
        }
      }
    }
    return {};
  }

  [[nodiscard]] std::vector<double> terms_of(const TimedPoint& point, const LatencyModel& works) const {
    const auto list = [](const auto& terms) { return std::vector<double>(terms.begin(), terms.end()); };
    switch (point.phase) {
      case Phase::kRefine:
      case Phase::kCut:
        return list(refine_terms(point.n_tokens));
      case Phase::kPrefill:
        return list(
            prefill_terms(works.work(point.level), point.n_tokens, point.n_context, options_.batch_tokens));
      case Phase::kDecode:
        break;
    }
    // The prompt's token comes first, then the run; its middle stands for it.
    return list(decode_terms(works.work(point.level), point.n_context + (kDecodeRun + 1) / 2.0));
  }

  void fit() {
    ProfileKey key = profile_key(*model_, n_threads_, options_.kv_type);
    DeviceProfile profile = guessed_profile(std::move(key));
    profile.coarse = false;
    profile.batch_tokens = options_.batch_tokens;
    const LatencyModel works(*model_, profile, n_threads_);
    double disturbance[kPhaseCount] = {1.0, 1.0, 1.0, 1.0};
    for (std::size_t i = 0; i < kPhaseCount; ++i) {
      const Phase phase = static_cast<Phase>(i);
      if (phase == Phase::kRefine && !options_.refine) continue;
      if (phase == Phase::kCut && !cuts()) continue;
      disturbance[i] = fit_law_of(phase, works, profile[phase]);
      fit_typical(phase, works, profile[phase]);
      fit_spread(phase, profile[phase]);
    }
    result_.prefill_disturbance = disturbance[static_cast<std::size_t>(Phase::kPrefill)];
    result_.decode_disturbance = disturbance[static_cast<std::size_t>(Phase::kDecode)];
    result_.profile = std::move(profile);
    for (Timed& timed : points_) result_.points.push_back(std::move(timed.point));
  }

  /// Runs without pauses, or all where there are none.
  [[nodiscard]] static const std::vector<double>& steady(const TimedPoint& point) noexcept {
    return point.steady_ms.empty() ? point.runs_ms : point.steady_ms;
  }

  /// The law of what steady runs take undisturbed. Returns the median of all of them over it.
  double fit_law_of(Phase phase, const LatencyModel& works, PhaseProfile& profile) {
    FitData data;
    for (Timed& timed : points_) {
      TimedPoint& point = timed.point;
      if (point.phase != phase) continue;
      std::vector<double> sorted = steady(point);
      std::sort(sorted.begin(), sorted.end());
      point.measured_ms = quantile(sorted, kUndisturbed);
      const std::vector<double> terms = terms_of(point, works);
      data.n_terms = terms.size();
      // What was disturbed in most of its runs may have been in all of them.
      const double disturbed = (quantile(sorted, 0.5) / point.measured_ms - 1.0) / 0.1;
      if (!point.held_out) data.add(terms, point.measured_ms, 1.0 / (1.0 + disturbed * disturbed));
    }
    profile.coefficients = fit_law(data);
    std::vector<double> quotients;
    for (Timed& timed : points_) {
      TimedPoint& point = timed.point;
      if (point.phase != phase) continue;
      point.predicted_ms = predict(profile.coefficients, terms_of(point, works));
      if (point.held_out) continue;
      for (const double run : steady(point)) quotients.push_back(run / std::max(point.predicted_ms, 1e-9));
    }
    return median_of(std::move(quotients));
  }

  /// From the law to what a request meets: medians of the runs after a pause give its scale, and what a pause
  /// adds to each run, however short.
  void fit_typical(Phase phase, const LatencyModel& works, PhaseProfile& profile) {
    FitData data;
    data.n_terms = 2;
    for (Timed& timed : points_) {
      TimedPoint& point = timed.point;
      if (point.phase != phase) continue;
      point.typical_ms = median_of(point.runs_ms);
      if (!point.held_out) data.add(std::vector<double>{point.predicted_ms, 1.0}, point.typical_ms);
    }
    const std::vector<double> found = fit_law(data);
    if (found.size() == data.n_terms && !profile.coefficients.empty()) {
      for (double& coefficient : profile.coefficients) coefficient *= found[0];
      profile.coefficients.front() += found[1];  // "call": once a run
    }
    for (Timed& timed : points_) {
      TimedPoint& point = timed.point;
      if (point.phase == phase) point.expected_ms = predict(profile.coefficients, terms_of(point, works));
    }
  }

  /// How far single runs lay from their job's median, and the medians from what is expected.
  void fit_spread(Phase phase, PhaseProfile& profile) const {
    std::vector<double> noise, misfits;
    for (const Timed& timed : points_) {
      const TimedPoint& point = timed.point;
      if (point.phase != phase || point.held_out) continue;
      misfits.push_back(std::abs(std::log(point.typical_ms / std::max(point.expected_ms, 1e-9))));
      for (const double run : point.runs_ms)
        noise.push_back((run - point.typical_ms) / std::sqrt(point.typical_ms));
    }
    profile.misfit = kRobustDeviation * median_of(std::move(misfits));
    std::sort(noise.begin(), noise.end());
    constexpr std::size_t kKept = 256;
    profile.noise.clear();
    const std::size_t n = std::min(kKept, noise.size());
    for (std::size_t i = 0; i < n; ++i) {
      const double q = n == 1 ? 0.5 : static_cast<double>(i) / static_cast<double>(n - 1);
      profile.noise.push_back(quantile(noise, q));
    }
  }

  std::shared_ptr<const ElasticModel> model_;
  std::shared_ptr<const Tokenizer> tokenizer_;  ///< null: the model has no vocabulary that elms reads
  const CalibrationOptions& options_;
  SessionOptions session_options_;
  std::size_t n_threads_ = 1;
  std::vector<Session> sessions_;  ///< an empty one, then one for each context
  std::vector<TokenId> tokens_;
  CalibrationPlan plan_;
  std::vector<Timed> points_;
  Calibration result_;
};

}  // namespace elms::inline v0::detail
