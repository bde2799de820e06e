// elms elasticize: orders the units of a checkpoint by importance, so that it can run at any width.
#include "elms/offline/elasticize.hpp"

#include <string>
#include <vector>

#include "cli/arguments.hpp"
#include "cli/commands.hpp"
#include "cli/console.hpp"
#include "cli/level_report.hpp"

namespace elms_cli {
namespace {

namespace offline = elms::offline;

struct ElasticizeArguments {
  std::string input, output, calibration;
  std::vector<std::string> importance = {"flap"};
  std::string allocation = "uniform", type;
  std::vector<double> levels;
  std::int32_t calibration_tokens = offline::CalibrationOptions().max_tokens;
  std::int32_t search_tokens = offline::ElasticizeOptions().search_tokens;
  std::string recover;  ///< method; empty: none
  RecoveryArguments recovery;
  std::size_t threads = 0;
  bool json = false;
};

offline::Allocation allocation_named(const std::string& name) {
  if (name == "search") return offline::Allocation::kSearch;
  return name == "global" ? offline::Allocation::kGlobal : offline::Allocation::kUniform;
}

elms::Status elasticize(const ElasticizeArguments& arguments) {
  offline::ElasticizeOptions options;
  options.importance.clear();
  for (const std::string& name : arguments.importance) {
    options.importance.push_back(
        offline::parse_importance_method(name).value_or(offline::ImportanceMethod::kFlap));
  }
  options.allocation = allocation_named(arguments.allocation);
  options.search_tokens = arguments.search_tokens;
  if (!arguments.type.empty()) options.type = type_named(arguments.type);
  options.cost_targets = arguments.levels;
  options.calibration.max_tokens = arguments.calibration_tokens;
  if (!arguments.recover.empty()) {
    options.recovery = recovery_options(arguments.recovery);
    options.recovery->method =
        offline::parse_recovery_method(arguments.recover).value_or(offline::RecoveryMethod::kLora);
  }
  ELMS_ASSIGN_OR_RETURN(options.pool, elms::ThreadPool::create(arguments.threads));
  std::string text;
  if (!arguments.calibration.empty()) {
    ELMS_ASSIGN_OR_RETURN(text, read_text(arguments.calibration));
  }

  auto report = [&] {
    const InterruptGuard interrupt;
    ProgressBar bar;
    options.progress = bar.callback(interrupt);
    return offline::elasticize(arguments.input, arguments.output, text, options);
  }();
  if (!report.has_value()) return report.error();
  if (arguments.json) {
    print_json({{"input", arguments.input},
                {"output", arguments.output},
                {"bytes_written", report->bytes_written},
                {"importance", offline::to_string(report->importance.method)},
                {"allocation", arguments.allocation},
                {"calibration_tokens", report->calibration_tokens},
                {"levels", levels_json(report->levels)},
                {"recovery", report->recovery.has_value() ? recovery_json(*report->recovery) : Json()}});
    return {};
  }
  std::printf("%s: %s, %zu levels, units ordered by %s", arguments.output.c_str(),
              readable_bytes(report->bytes_written).c_str(), report->levels.size(),
              std::string(offline::to_string(report->importance.method)).c_str());
  if (report->calibration_tokens > 0) std::printf(" over %d tokens", report->calibration_tokens);
  std::printf("\n\n");
  print_levels(report->levels);
  if (!report->recovery.has_value()) return {};
  std::printf("\nrecovered by %s in %llu steps\n\n", arguments.recover.c_str(),
              static_cast<unsigned long long>(report->recovery->n_steps));
  print_recovery(*report->recovery);
  return {};
}

/// Options that contradict each other, as a usage error.
void check(const ElasticizeArguments& arguments) {
  for (const std::string& importance : arguments.importance) {
    if (importance == "magnitude" || !arguments.calibration.empty()) continue;
    throw CLI::ValidationError(
        "--calib", "--importance " + importance + " measures activations: give it a text, or use magnitude");
  }
  if (arguments.importance.size() > 1 && arguments.allocation != "search") {
    throw CLI::ValidationError("--importance",
                               "of several methods only --allocation search can take the better one");
  }
  if (arguments.allocation == "search" && arguments.calibration.empty()) {
    throw CLI::ValidationError("--calib", "--allocation search compares levels on a text: give it one");
  }
  const offline::RecoveryOptions& recovery = arguments.recovery.options;
  if (arguments.recover.empty() != recovery.data.empty()) {
    throw CLI::ValidationError("--recover", "goes with --recover-data");
  }
  if (!arguments.recover.empty() && arguments.recover != "bias" && recovery.n_steps == 0 &&
      recovery.minutes == 0.0) {
    throw CLI::ValidationError("--recover", "give --recover-steps, --recover-minutes or both");
  }
  double below = 0.0;
  for (const double level : arguments.levels) {
    if (level <= below) throw CLI::ValidationError("--levels", "expected ascending widths");
    below = level;
  }
}

}  // namespace

void add_elasticize(CLI::App& app, Action& action) {
  auto arguments = std::make_shared<ElasticizeArguments>();
  CLI::App& command =
      *app.add_subcommand("elasticize", "Make a model elastic: order its units by importance, add levels");
  add_model(command, arguments->input);
  command
      .add_option("-o,--output", arguments->output, "GGUF file to write; it appears when complete, or not")
      ->required()
      ->option_text("FILE");
  command
      .add_option("--calib", arguments->calibration,
                  "Text that shows which units matter (magnitude needs none)")
      ->option_text("FILE");
  command
      .add_option(
          "--importance", arguments->importance,
          "How units are judged: taylor (what the loss would lose), taylor-weights, flap (activations) or "
          "magnitude; several with --allocation search, which takes the best")
      ->check(CLI::IsMember({"flap", "magnitude", "taylor", "taylor-weights"}))
      ->delimiter(',')
      ->option_text("METHOD,... [flap]");
  command
      .add_option("--allocation", arguments->allocation,
                  "Cut all layers alike (uniform), let units compete (global), or measure (search)")
      ->check(CLI::IsMember({"uniform", "global", "search"}))
      ->option_text("HOW [uniform]");
  add_type(command, arguments->type)
      ->description(
          "Type of the weight matrices in the new file: f32, f16, bf16, q8_0 or q4_0 (default: as they are)");
  add_widths(command, "--levels", arguments->levels,
             "Costs of the levels, ascending (default: 0.2,0.3,...,1.0)");
  command.add_option("--calib-tokens", arguments->calibration_tokens, "Tokens of the text to use at most")
      ->check(CLI::Range(2, 1 << 30))
      ->option_text("N [" + std::to_string(arguments->calibration_tokens) + "]");
  command
      .add_option("--search-tokens", arguments->search_tokens,
                  "Tokens of the text that --allocation search compares levels on")
      ->check(CLI::Range(2, 1 << 20))
      ->option_text("N [" + std::to_string(arguments->search_tokens) + "]");
  command
      .add_option("--recover", arguments->recover,
                  "Then recover the levels: bias, lora or nested (see elms recover)")
      ->check(CLI::IsMember({"bias", "lora", "nested"}))
      ->option_text("METHOD");
  add_recovery(command, arguments->recovery);
  command.add_option("--recover-minutes", arguments->recovery.options.minutes, "Or how long it may take")
      ->check(CLI::PositiveNumber)
      ->option_text("M");
  command.add_flag("--resume", arguments->recovery.options.resume, "Go on with a recovery that was stopped");
  add_threads(command, arguments->threads);
  add_json(command, arguments->json);
  command.footer(
      "Example:\n  elms elasticize assistant.gguf -o assistant.elastic.gguf --calib wiki.txt --type q8_0");
  command.callback([arguments, &action] {
    check(*arguments);
    action = [arguments] { return elasticize(*arguments); };
  });
}

}  // namespace elms_cli
