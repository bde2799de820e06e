#include "elms/offline/slo_eval.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <utility>

#include "elms/calibrate.hpp"
#include "elms/detail/error.hpp"
#include "elms/refiner_timing.hpp"
#include "offline/progress_meter.hpp"
#include "offline/slo/noise.hpp"
#include "offline/slo/score.hpp"

namespace elms::inline v0::offline {
namespace {

using detail::invalid_argument;

constexpr std::array kStrategyNames = {
    std::pair{SloStrategy::kElms, "elms"},
    std::pair{SloStrategy::kFull, "full"},
    std::pair{SloStrategy::kStatic, "static"},
    std::pair{SloStrategy::kWidthOnly, "width-only"},
    std::pair{SloStrategy::kPromptOnly, "prompt-only"},
    std::pair{SloStrategy::kPaperRule, "paper-rule"},
    std::pair{SloStrategy::kLayerDropping, "layer-dropping"},
    std::pair{SloStrategy::kRandom, "random"},
    std::pair{SloStrategy::kOracle, "oracle"},
    std::pair{SloStrategy::kElmsTable, "elms-table"},
    std::pair{SloStrategy::kElmsFixed, "elms-fixed"},
    std::pair{SloStrategy::kElmsUnpaced, "elms-unpaced"},
    std::pair{SloStrategy::kElmsOffline, "elms-offline"},
};

Status check(std::span<const TaskFile> tasks, const SloEvalOptions& options) {
  if (options.model == nullptr) return invalid_argument("slo: the model is null");
  if (tasks.empty() || options.classes.empty() || options.strategies.empty()) {
    return invalid_argument("slo: ", tasks.size(), " tasks, ", options.classes.size(), " classes and ",
                            options.strategies.size(), " strategies; at least one of each is needed");
  }
  for (const TaskFile& task : tasks) {
    if (task.items.empty()) return invalid_argument("slo: the task ", task.name, " has no items");
    for (const TaskItem& item : task.items) {
      if (item.answer >= item.choices.size() || first_line(item.choices[item.answer]).empty())
        return invalid_argument("slo: an item of ", task.name, " has no right choice");
    }
  }
  const auto is_share = [](double share) { return share > 0.0 && share <= 1.0; };
  for (const SloClass& one : options.classes) {
    if (!is_share(one.shares.ttft) || !is_share(one.shares.tpot))
      return invalid_argument("slo: class ", one.name, " with shares of ", one.shares.ttft, " and ",
                              one.shares.tpot, ", expected above 0 and at most 1");
  }
  if (options.cpu_time && (options.model->pool()->n_threads() != 1 || options.noise)) {
    return invalid_argument("slo: CPU time is that of one thread: the model has ",
                            options.model->pool()->n_threads(), ", and noise does not count");
  }
  if (options.n_requests < 1 || options.max_answer_tokens < 2 || options.n_pieces < 1 ||
      !(options.load > 0.0) || !std::isfinite(options.skew) || !(options.calibration_seconds > 0.0)) {
    return invalid_argument("slo: ", options.n_requests, " requests in ", options.n_pieces,
                            " pieces at a load of ", options.load, " with answers of ",
                            options.max_answer_tokens, " tokens at most");
  }
  return {};
}

Result<DeviceProfile> profile_of(const SloEvalOptions& options, std::shared_ptr<const ReplayClock> clock) {
  if (options.profile.has_value()) return *options.profile;
  elms::CalibrationOptions calibration;
  calibration.seconds = options.calibration_seconds;
  calibration.clock_ms = function_of(std::move(clock));
  if (options.cpu_time) calibration.pause_ms = 0.0;  // the replay skips its pauses, too
  if (options.refiner != nullptr) calibration.refine = refiner_timing(options.refiner);
  if (options.progress) {
    calibration.on_progress = [&](double fraction) { return options.progress({"calibrate", fraction}); };
  }
  ELMS_ASSIGN_OR_RETURN(Calibration calibrated, calibrate(options.model, calibration));
  return std::move(calibrated.profile);
}

/// Prompts, as text to find out on which layers matter least.
std::string prompts_of(std::span<const TaskFile> tasks) {
  constexpr std::size_t kItems = 8;
  std::string text;
  for (const TaskFile& task : tasks) {
    for (std::size_t i = 0; i < std::min(kItems, task.items.size()); ++i) {
      text += task.items[i].prompt + task.items[i].choices[task.items[i].answer] + "\n";
    }
  }
  return text;
}

using Contenders = std::vector<std::unique_ptr<Contender>>;

Result<Contenders> make_all(const SloEvalOptions& options, const DeviceProfile& profile,
                            std::shared_ptr<const ReplayClock> clock, const AnswerTable* answers,
                            std::string removal_text) {
  Contenders all;
  const ContenderParts parts{options, profile, std::move(clock), answers, std::move(removal_text)};
  for (const SloStrategy strategy : options.strategies) {
    ELMS_ASSIGN_OR_RETURN(Contenders made, make_contenders(strategy, parts));
    for (std::unique_ptr<Contender>& one : made) all.push_back(std::move(one));
  }
  return all;
}

/// One request each, so that no contender pays for first touches of its memory.
void warm_up(const Trace& trace, const Contenders& contenders) {
  for (const std::unique_ptr<Contender>& contender : contenders) {
    ServiceRequest request;
    request.prompt = trace.requests.front().prompt;
    request.max_tokens = 2;
    const Route route = contender->route(trace.requests.front(), 0);
    request.level = route.level.value_or(static_cast<int>(route.service->model().levels().size()) - 1);
    static_cast<void>(route.service->generate(request).has_value());
  }
}

/// [n_contenders][n_requests]
Result<std::vector<std::vector<Outcome>>> replay_all(const Trace& trace, const Contenders& contenders,
                                                     ReplayClock& clock, const SloEvalOptions& options) {
  const std::size_t n = trace.requests.size();
  const auto n_pieces = std::min(n, static_cast<std::size_t>(options.n_pieces));
  std::vector<std::vector<Outcome>> outcomes(contenders.size(), std::vector<Outcome>(n));
  ProgressMeter progress(options.progress, "replay");
  warm_up(trace, contenders);
  std::size_t n_done = 0;
  const auto report = [&] {
    return progress.report(static_cast<double>(n_done) / static_cast<double>(n_pieces * contenders.size()));
  };
  for (std::size_t piece = 0; piece < n_pieces; ++piece) {
    const std::size_t begin = piece * n / n_pieces, end = (piece + 1) * n / n_pieces;
    for (std::size_t c = 0; c < contenders.size(); ++c) {
      // The same noise for all.
      std::optional<NoiseThread> noise;
      if (options.noise) noise.emplace(options.trace_seed + piece);
      ELMS_RETURN_IF_ERROR(replay(trace, begin, *contenders[c], clock, report,
                                  std::span(outcomes[c]).subspan(begin, end - begin)));
      ++n_done;
    }
  }
  ELMS_RETURN_IF_ERROR(report());
  return outcomes;
}

}  // namespace

const char* to_string(SloStrategy strategy) noexcept {
  for (const auto& [value, name] : kStrategyNames) {
    if (value == strategy) return name;
  }
  return "unknown";
}

std::optional<SloStrategy> parse_slo_strategy(std::string_view name) noexcept {
  for (const auto& [value, known] : kStrategyNames) {
    if (name == known) return value;
  }
  return std::nullopt;
}

std::vector<SloStrategy> default_slo_strategies() {
  return {SloStrategy::kElms,          SloStrategy::kFull,       SloStrategy::kStatic,
          SloStrategy::kWidthOnly,     SloStrategy::kPromptOnly, SloStrategy::kPaperRule,
          SloStrategy::kLayerDropping, SloStrategy::kRandom,     SloStrategy::kOracle};
}

std::vector<SloClass> six_slo_classes() {
  return {{"1.0/1.0", {1.0, 1.0}}, {"0.8/0.9", {0.8, 0.9}}, {"0.6/0.8", {0.6, 0.8}},
          {"0.4/0.7", {0.4, 0.7}}, {"0.2/0.6", {0.2, 0.6}}, {"0.2/0.5", {0.2, 0.5}}};
}

Result<SloEvalResult> evaluate_slo(std::span<const TaskFile> tasks, const SloEvalOptions& options) {
  ELMS_RETURN_IF_ERROR(check(tasks, options));
  ELMS_ASSIGN_OR_RETURN(const std::shared_ptr<const Tokenizer> tokenizer, options.model->tokenizer());
  const auto clock = std::make_shared<ReplayClock>(options.cpu_time);
  ELMS_ASSIGN_OR_RETURN(const DeviceProfile profile, profile_of(options, clock));
  PlannerOptions planner_options;
  planner_options.profile = profile;
  planner_options.keep_ratios = options.keep_ratios;
  planner_options.probe = false;
  ELMS_ASSIGN_OR_RETURN(const std::shared_ptr<SLOPlanner> planner,
                        SLOPlanner::create(options.model, std::move(planner_options)));
  ELMS_ASSIGN_OR_RETURN(const Trace trace, make_trace(tasks, options, *planner, *tokenizer));

  SloEvalResult result;
  std::optional<AnswerTable> answers;
  if (std::find(options.strategies.begin(), options.strategies.end(), SloStrategy::kOracle) !=
      options.strategies.end()) {
    std::vector<const Question*> questions;
    for (const TraceRequest& request : trace.requests) questions.push_back(&request);
    ELMS_ASSIGN_OR_RETURN(
        answers,
        AnswerTable::make(questions, {options.model, options.refiner, options.keep_ratios, options.progress},
                          "oracle"));
    result.answerable =
        static_cast<double>(answers->n_answerable()) / static_cast<double>(trace.requests.size());
  }
  ELMS_ASSIGN_OR_RETURN(
      const Contenders contenders,
      make_all(options, profile, clock, answers.has_value() ? &*answers : nullptr, prompts_of(tasks)));
  ELMS_ASSIGN_OR_RETURN(const auto outcomes, replay_all(trace, contenders, *clock, options));
  result.classes = options.classes;
  result.mean_full = trace.mean_full;
  result.mean_prompt_tokens = trace.mean_prompt_tokens;
  result.seconds = trace.requests.back().arrival_ms / 1e3;
  for (std::size_t c = 0; c < contenders.size(); ++c) {
    result.strategies.push_back(score_outcomes(trace, options.classes.size(), *contenders[c], outcomes[c]));
  }
  return result;
}

}  // namespace elms::inline v0::offline
