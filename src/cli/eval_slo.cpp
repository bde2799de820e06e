// elms eval slo: traces of requests with targets, served by elms and by others.
#include <filesystem>
#include <string>
#include <vector>

#include "cli/arguments.hpp"
#include "cli/commands.hpp"
#include "cli/console.hpp"
#include "cli/profile_choice.hpp"
#include "cli/refiner_arguments.hpp"
#include "cli/slo_report.hpp"
#include "elms/offline/slo_eval.hpp"

namespace elms_cli {
namespace {

namespace offline = elms::offline;

struct SloArguments {
  std::string model, refiner, profile, html, plot;
  std::vector<std::string> tasks, strategies;
  offline::SloEvalOptions options;
  std::size_t threads = 0;
  bool ablation = false, json = false;
};

elms::Status choose_strategies(const SloArguments& arguments, std::vector<offline::SloStrategy>& strategies) {
  if (!arguments.strategies.empty()) strategies.clear();
  for (const std::string& name : arguments.strategies) {
    const auto strategy = offline::parse_slo_strategy(name);
    if (!strategy.has_value()) return elms::detail::invalid_argument("no strategy is named ", name);
    strategies.push_back(*strategy);
  }
  if (arguments.ablation) {
    for (const auto strategy : {offline::SloStrategy::kElmsTable, offline::SloStrategy::kElmsFixed,
                                offline::SloStrategy::kElmsUnpaced, offline::SloStrategy::kElmsOffline}) {
      strategies.push_back(strategy);
    }
  }
  return {};
}

elms::Status evaluate(const SloArguments& arguments) {
  offline::SloEvalOptions options = arguments.options;
  ELMS_RETURN_IF_ERROR(choose_strategies(arguments, options.strategies));
  ELMS_ASSIGN_OR_RETURN(options.model, open_model(arguments.model, arguments.threads));
  if (!arguments.refiner.empty()) {
    ELMS_ASSIGN_OR_RETURN(options.refiner, open_refiner(arguments.refiner, arguments.threads));
  }
  if (!arguments.profile.empty()) {
    ELMS_ASSIGN_OR_RETURN(options.profile, find_profile(*options.model, arguments.profile));
  }
  std::vector<offline::TaskFile> tasks;
  for (const std::string& path : arguments.tasks) {
    ELMS_ASSIGN_OR_RETURN(auto items, offline::read_tasks(path));
    tasks.push_back({std::filesystem::path(path).stem().string(), std::move(items)});
  }
  const auto result = [&] {
    const InterruptGuard interrupt;
    ProgressBar bar;
    options.progress = bar.callback(interrupt);
    return offline::evaluate_slo(tasks, options);
  }();
  if (!result.has_value()) return result.error();
  if (!arguments.html.empty()) {
    const std::string title = std::filesystem::path(arguments.model).filename().string();
    ELMS_RETURN_IF_ERROR(write_slo_html(*result, title, arguments.html));
  }
  if (!arguments.plot.empty()) ELMS_RETURN_IF_ERROR(write_slo_plot(*result, arguments.plot));
  if (arguments.json) {
    print_json(slo_json(*result));
  } else {
    print_slo(*result);
  }
  return {};
}

void add_trace_options(CLI::App& command, offline::SloEvalOptions& options) {
  command.add_option("--requests", options.n_requests, "Requests of the trace")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 30))
      ->option_text("N [300]");
  command
      .add_option("--trace-seed", options.trace_seed, "The same seed gives the same requests and arrivals")
      ->option_text("N [1]");
  command
      .add_option("--skew", options.skew,
                  "0: all classes alike; above: tight targets come more often; below: loose ones")
      ->check(CLI::Range(-20.0, 20.0))
      ->option_text("A [0]");
  command
      .add_option("--load", options.load, "Requests arrive at this share of what the full model could serve")
      ->check(CLI::Range(0.001, 100.0))
      ->option_text("L [0.25]");
  command
      .add_option("--keep-ratios", options.keep_ratios, "Shares of a prompt to choose from, beside the whole")
      ->delimiter(',')
      ->check(width_validator())
      ->option_text("R,R,... [0.2,0.4,0.6,0.8]");
  command.add_option("--max-tokens", options.max_answer_tokens, "Tokens of an answer at most")
      ->check(CLI::Range(2, 1 << 20))
      ->option_text("N [24]");
  command.add_option("--confidence", options.confidence, "With which predicted times are to be kept")
      ->check(CLI::Range(0.5, 0.9999))
      ->option_text("P [0.99]");
  command.add_flag("--cpu-time", options.cpu_time,
                   "Time is the CPU time of one thread (-t 1), requests one after another: what a quiet "
                   "machine would show");
  command.add_flag("--noise", options.noise,
                   "Another thread burns a core in random bursts, half of the time");
}

}  // namespace

void add_eval_slo(CLI::App& eval, Action& action) {
  auto arguments = std::make_shared<SloArguments>();
  CLI::App& command = *eval.add_subcommand(
      "slo", "Replay traces of requests with targets: in time and right, against other ways to serve them");
  command.add_option("-m,--model", arguments->model, "The elastic model")->required()->option_text("GGUF");
  command.add_option("-r,--refiner", arguments->refiner, "The refiner (without it no prompt is cut)")
      ->option_text("GGUF");
  command.add_option("--tasks", arguments->tasks, "JSON lines as elms tasks writes them")
      ->required()
      ->option_text("FILE...");
  add_trace_options(command, arguments->options);
  command
      .add_option("--strategies", arguments->strategies,
                  "elms, full, static, width-only, prompt-only, paper-rule, layer-dropping, random, oracle, "
                  "elms-table, elms-fixed, elms-unpaced, elms-offline (default: the first nine)")
      ->delimiter(',')
      ->option_text("NAME,...");
  command.add_flag("--ablation", arguments->ablation,
                   "Also elms without its decision head, learning, narrowing, and without both of these");
  command
      .add_option("--profile", arguments->profile,
                  "What `elms calibrate --refiner` saved (default: calibrated first)")
      ->option_text("FILE");
  command.add_option("--calibrate-seconds", arguments->options.calibration_seconds, "Seconds for that")
      ->check(CLI::Range(0.1, 600.0))
      ->option_text("S [15]");
  command.add_option("--html", arguments->html, "Write a page with tables and plots")->option_text("FILE");
  command
      .add_option("--plot", arguments->plot, "Draw right and in time by class; the first seven strategies")
      ->option_text("FILE.svg");
  add_threads(command, arguments->threads);
  add_json(command, arguments->json);
  command.footer(
      "Targets are shares of what the full model takes for a request (ELMS, arXiv 2409.09071). The trace is "
      "replayed in\nreal time once for each strategy, piece by piece in turn.\n"
      "Example:\n  elms eval slo --model assistant.elastic.gguf --refiner refiner.gguf --tasks snips.jsonl "
      "--html slo.html");
  bind(command, arguments, evaluate, action);
}

}  // namespace elms_cli
