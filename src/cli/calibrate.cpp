// elms calibrate: times a model on this machine, fits the laws that `elms plan` predicts with, and shows how
// well they hold.
#include "elms/calibrate.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <string>
#include <utility>
#include <vector>

#include "cli/arguments.hpp"
#include "cli/commands.hpp"
#include "cli/console.hpp"
#include "cli/plot.hpp"
#include "cli/refiner_arguments.hpp"
#include "elms/detail/latency_fit.hpp"
#include "elms/refiner_timing.hpp"

namespace elms_cli {
namespace {

struct CalibrateArguments {
  std::string model, refiner, output, plot;
  double seconds = 15.0;
  double check_seconds = 8.0;
  double pause_ms = elms::CalibrationOptions().pause_ms;
  std::size_t threads = 0;
  elms::KvType kv = elms::KvType::kF16;
  bool save = false;
  bool cpu_time = false;
  bool json = false;
};

/// What a prediction is held against: the law undisturbed, or the profile where each run begins after a
/// pause.
enum class Against : std::uint8_t { kSteady, kAfterPause };

/// Absolute relative errors of the points of a phase.
struct Errors {
  std::size_t n = 0;
  double median = 0.0, p95 = 0.0;
};
Errors errors_of(const std::vector<elms::TimedPoint>& points, elms::Phase phase, bool held_out,
                 Against against) {
  std::vector<double> errors;
  for (const elms::TimedPoint& point : points) {
    if (point.phase != phase || point.held_out != held_out) continue;
    errors.push_back(std::abs(against == Against::kSteady ? point.predicted_ms / point.measured_ms - 1.0
                                                          : point.expected_ms / point.typical_ms - 1.0));
  }
  std::sort(errors.begin(), errors.end());
  return {errors.size(), elms::detail::quantile(errors, 0.5), elms::detail::quantile(errors, 0.95)};
}

Json errors_json(const Errors& errors) {
  return {{"n", errors.n}, {"median", errors.median}, {"p95", errors.p95}};
}

Json calibrated_points_json(const elms::Calibration& calibration, const elms::ElasticModel& model) {
  Json list = Json::array();
  for (const elms::TimedPoint& point : calibration.points) {
    list.push_back({{"phase", elms::phase_name(point.phase)},
                    {"level", point.level},
                    {"width", model.levels()[static_cast<std::size_t>(point.level)].cost_share},
                    {"tokens", point.n_tokens},
                    {"context", point.n_context},
                    {"held_out", point.held_out},
                    {"runs", point.runs_ms.size()},
                    {"steady_runs", point.steady_ms.size()},
                    {"measured_ms", point.measured_ms},
                    {"predicted_ms", point.predicted_ms},
                    {"typical_ms", point.typical_ms},
                    {"expected_ms", point.expected_ms}});
  }
  return list;
}

Json calibration_json(const CalibrateArguments& arguments, const elms::Calibration& calibration,
                      const elms::ElasticModel& model) {
  Json errors = Json::object();
  for (const elms::Phase phase : {elms::Phase::kPrefill, elms::Phase::kDecode}) {
    const auto of = [&](bool held_out, Against against) {
      return errors_json(errors_of(calibration.points, phase, held_out, against));
    };
    errors[elms::phase_name(phase)] = {{"fitted", of(false, Against::kSteady)},
                                       {"held_out", of(true, Against::kSteady)},
                                       {"fitted_after_pause", of(false, Against::kAfterPause)},
                                       {"held_out_after_pause", of(true, Against::kAfterPause)}};
  }
  return {{"model", arguments.model},
          {"profile", arguments.output},
          {"threads", calibration.profile.key.threads},
          {"seconds", calibration.profile.seconds},
          {"errors", std::move(errors)},
          {"disturbance",
           {{"prefill", calibration.prefill_disturbance}, {"decode", calibration.decode_disturbance}}},
          {"points", calibrated_points_json(calibration, model)}};
}

void print_calibration(const elms::Calibration& calibration, const elms::ElasticModel& model) {
  Table table({"phase", "width", "tokens", "context", "runs", "measured ms", "predicted ms", "error",
               "after a pause ms", "error", ""});
  for (const elms::TimedPoint& point : calibration.points) {
    const double ms = point.measured_ms;
    const int digits = ms < 1.0 ? 4 : ms < 100.0 ? 2 : 0;
    table.add({elms::phase_name(point.phase),
               fixed(model.levels()[static_cast<std::size_t>(point.level)].cost_share, 2),
               std::to_string(point.n_tokens), std::to_string(point.n_context),
               std::to_string(point.runs_ms.size() + point.steady_ms.size()), fixed(ms, digits),
               fixed(point.predicted_ms, digits), fixed((point.predicted_ms / ms - 1.0) * 100.0, 1) + "%",
               fixed(point.typical_ms, digits),
               fixed((point.expected_ms / point.typical_ms - 1.0) * 100.0, 1) + "%",
               point.held_out ? "held out" : ""});
  }
  table.print();
  std::printf("\n");
  Table errors({"absolute error", "points", "median", "p95", "after a pause: median", "p95"});
  for (const elms::Phase phase : {elms::Phase::kPrefill, elms::Phase::kDecode}) {
    for (const bool held_out : {false, true}) {
      const Errors steady = errors_of(calibration.points, phase, held_out, Against::kSteady);
      const Errors paused = errors_of(calibration.points, phase, held_out, Against::kAfterPause);
      if (steady.n == 0) continue;
      const auto percent = [](double share) { return fixed(share * 100.0, 1) + "%"; };
      errors.add({std::string(elms::phase_name(phase)) + (held_out ? ", held out" : ", fitted"),
                  std::to_string(steady.n), percent(steady.median), percent(steady.p95),
                  percent(paused.median), percent(paused.p95)});
    }
  }
  errors.print();
  std::printf(
      "\nMeasured: the lowest decile of runs without pauses (of all, where runs are long beside a\n"
      "pause); the middle one took %.2f (prefill) and %.2f (decode) times as long. The profile predicts\n"
      "what runs after a pause take, as requests come; its margins come from their spread.\n",
      calibration.prefill_disturbance, calibration.decode_disturbance);
}

/// Predicted over measured time on logarithmic axes: on the diagonal a prediction is right.
elms::Status write_plot(const elms::Calibration& calibration, const std::string& path) {
  Plot plot{.title = "Predicted against measured times",
            .x_label = "measured, log10 ms",
            .y_label = "predicted, log10 ms",
            .series = {},
            .legend_on_left = true};
  double least = INFINITY, greatest = -INFINITY;
  for (const elms::Phase phase : {elms::Phase::kPrefill, elms::Phase::kDecode}) {
    for (const bool held_out : {false, true}) {
      Series series{std::string(elms::phase_name(phase)) + (held_out ? ", held out" : ", fitted"), {}};
      for (const elms::TimedPoint& point : calibration.points) {
        if (point.phase != phase || point.held_out != held_out) continue;
        series.points.push_back({std::log10(point.measured_ms), std::log10(point.predicted_ms)});
        least = std::min(least, series.points.back().x);
        greatest = std::max(greatest, series.points.back().x);
      }
      std::sort(series.points.begin(), series.points.end(),
                [](const Point& a, const Point& b) { return a.x < b.x; });
      if (!series.points.empty()) plot.series.push_back(std::move(series));
    }
  }
  plot.series.push_back({"equal", {{least, least}, {greatest, greatest}}});
  return write_svg(plot, path);
}

elms::Status run_calibrate(const CalibrateArguments& given) {
  CalibrateArguments arguments = given;
  if (arguments.cpu_time && arguments.threads != 1) {
    return elms::detail::invalid_argument("--cpu-time adds up the time of all threads: it needs -t 1");
  }
  ELMS_ASSIGN_OR_RETURN(const auto model, open_model(arguments.model, arguments.threads, true));
  if (arguments.save && arguments.output.empty()) {
    arguments.output = elms::profile_path(arguments.model, model->pool()->n_threads());
  }
  std::shared_ptr<const elms::PromptRefiner> refiner;
  if (!arguments.refiner.empty()) {
    ELMS_ASSIGN_OR_RETURN(refiner, open_refiner(arguments.refiner, arguments.threads));
  }
  const auto calibration = [&] {
    const InterruptGuard interrupt;
    ProgressBar bar;
    elms::CalibrationOptions options;
    options.seconds = arguments.seconds;
    options.held_out_seconds = arguments.check_seconds;
    options.pause_ms = arguments.cpu_time ? 0.0 : arguments.pause_ms;
    options.kv_type = arguments.kv;
    if (refiner != nullptr) options.refine = elms::refiner_timing(refiner);
    if (arguments.cpu_time) {
      options.clock_ms = [] { return static_cast<double>(std::clock()) * (1e3 / CLOCKS_PER_SEC); };
    }
    options.on_progress = [show = bar.callback(interrupt)](double fraction) {
      return show({"calibrate", fraction});
    };
    return elms::calibrate(model, options);
  }();
  if (!calibration.has_value()) return calibration.error();
  if (!arguments.output.empty()) ELMS_RETURN_IF_ERROR(calibration->profile.save(arguments.output));
  if (!arguments.plot.empty()) ELMS_RETURN_IF_ERROR(write_plot(*calibration, arguments.plot));
  if (arguments.json) {
    print_json(calibration_json(arguments, *calibration, *model));
    return {};
  }
  print_calibration(*calibration, *model);
  constexpr double kDisturbed = 1.5;
  if (std::max(calibration->prefill_disturbance, calibration->decode_disturbance) > kDisturbed) {
    std::fprintf(stderr,
                 "elms: the machine was busy with something else; calibrate again when it is quiet\n");
  }
  if (!arguments.output.empty()) std::printf("\n%s: the profile\n", arguments.output.c_str());
  return {};
}

}  // namespace

void add_calibrate(CLI::App& app, Action& action) {
  auto arguments = std::make_shared<CalibrateArguments>();
  CLI::App& command =
      *app.add_subcommand("calibrate", "Time a model on this machine, for predictions of its latency");
  add_model(command, arguments->model);
  command.add_option("--refiner", arguments->refiner, "Time this refiner too")->option_text("GGUF");
  command.add_option("--seconds", arguments->seconds, "Seconds to spend on times that are fitted")
      ->check(CLI::Range(0.1, 600.0))
      ->option_text("S [15]");
  command
      .add_option("--check-seconds", arguments->check_seconds,
                  "Seconds more for levels, lengths and contexts that are not fitted; 0: none")
      ->check(CLI::Range(0.0, 600.0))
      ->option_text("S [8]");
  command
      .add_option("--pause-ms", arguments->pause_ms,
                  "Idle before each run of half of the time, as before a request; 0: none")
      ->check(CLI::Range(0.0, 10000.0))
      ->option_text("MS [20]");
  CLI::Option* output =
      command.add_option("-o,--output", arguments->output, "Write the profile to this file")
          ->option_text("FILE.json");
  command
      .add_flag("--save", arguments->save,
                "Write it beside the model, as MODEL.<threads>t.elmsprofile, where elms plan finds it")
      ->excludes(output);
  command.add_option("--plot", arguments->plot, "Draw predicted against measured times")
      ->option_text("FILE.svg");
  command.add_flag("--cpu-time", arguments->cpu_time,
                   "Count CPU time instead of time, with -t 1: for looking at the laws on a busy machine");
  add_kv(command, arguments->kv);
  add_threads(command, arguments->threads);
  add_json(command, arguments->json);
  command.footer(
      "Example:\n"
      "  elms calibrate assistant.elastic.gguf --save --plot fit.svg\n"
      "A profile is for this CPU, build, model and number of threads; anything else ignores it and says "
      "why.");
  bind(command, arguments, run_calibrate, action);
}

}  // namespace elms_cli
