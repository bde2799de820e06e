// elms eval compare: our levels against other ways to make a model smaller, at equal cost.
#include <filesystem>
#include <string>
#include <vector>

#include "cli/arguments.hpp"
#include "cli/commands.hpp"
#include "cli/compare_report.hpp"
#include "cli/console.hpp"
#include "elms/offline/compare.hpp"

namespace elms_cli {
namespace {

namespace offline = elms::offline;

struct CompareArguments {
  std::string model, text, calibration, type, html, plot;
  std::vector<std::string> tasks, recipes;
  RecoveryArguments recovery;
  offline::CompareOptions options;
  std::vector<double> levels;
  std::size_t threads = 0;
  bool json = false;
};

elms::Status compare(const CompareArguments& arguments) {
  offline::CompareOptions options = arguments.options;
  if (!arguments.levels.empty()) options.cost_targets = arguments.levels;
  if (!arguments.recipes.empty()) options.recipes.clear();
  for (const std::string& name : arguments.recipes) {
    options.recipes.push_back(offline::parse_recipe(name).value_or(offline::Recipe::kOurs));
  }
  if (!arguments.type.empty()) options.type = type_named(arguments.type);
  if (arguments.recovery.options.n_steps > 0) options.recovery = recovery_options(arguments.recovery);
  ELMS_ASSIGN_OR_RETURN(options.pool, elms::ThreadPool::create(arguments.threads));
  ELMS_ASSIGN_OR_RETURN(const std::string text, read_text(arguments.text));
  ELMS_ASSIGN_OR_RETURN(const std::string calibration, read_text(arguments.calibration));
  std::vector<offline::TaskFile> tasks;
  for (const std::string& path : arguments.tasks) {
    offline::TaskFile& task = tasks.emplace_back();
    task.name = std::filesystem::path(path).stem().string();
    ELMS_ASSIGN_OR_RETURN(task.items, offline::read_tasks(path));
  }
  const auto results = [&] {
    const InterruptGuard interrupt;
    ProgressBar bar;
    options.progress = bar.callback(interrupt);
    return offline::compare_recipes(arguments.model, text, calibration, tasks, options);
  }();
  if (!results.has_value()) return results.error();
  if (arguments.json) {
    print_json(compare_json(*results));
  } else {
    print_compare(*results);
  }
  const std::string name = std::filesystem::path(arguments.model).filename().string();
  if (!arguments.plot.empty())
    ELMS_RETURN_IF_ERROR(write_svg(perplexity_plot(*results, name), arguments.plot));
  return arguments.html.empty() ? elms::Status() : write_compare_html(*results, name, arguments.html);
}

std::vector<std::string> recipe_names() {
  std::vector<std::string> names;
  for (const offline::Recipe recipe : offline::all_recipes()) names.emplace_back(to_string(recipe));
  return names;
}

}  // namespace

void add_eval_compare(CLI::App& eval, Action& action) {
  auto arguments = std::make_shared<CompareArguments>();
  CLI::App& command = *eval.add_subcommand(
      "compare", "Our levels against other recipes at equal cost, on one original model");
  offline::CompareOptions& options = arguments->options;
  add_model(command, arguments->model);
  command.add_option("--text", arguments->text, "Held-out text to predict")->required()->option_text("FILE");
  command.add_option("--calib", arguments->calibration, "Text that all recipes judge units and layers by")
      ->required()
      ->option_text("FILE");
  command.add_option("--task", arguments->tasks, "Task file (see elms tasks); may be given again")
      ->option_text("FILE");
  add_widths(command, "--levels", arguments->levels,
             "Costs to compare at, ascending, below 1 (default: 0.3,0.4,...,0.9)");
  command.add_option("--recipes", arguments->recipes, "Which, in this order (default: all)")
      ->delimiter(',')
      ->check(CLI::IsMember(recipe_names()))
      ->option_text("NAME,...");
  add_type(command, arguments->type)
      ->description("Type of the weight matrices whose bytes are the cost (default: as they are)");
  command.add_option("--max-tokens", options.max_tokens, "Tokens of the held-out text")
      ->check(CLI::Range(2, 1 << 30))
      ->option_text("N [16384]");
  command.add_option("--calib-tokens", options.calibration.max_tokens, "Tokens of the calibration text")
      ->check(CLI::Range(2, 1 << 30))
      ->option_text("N [16384]");
  command.add_option("--window", options.window_tokens, "Tokens that see each other")
      ->check(CLI::Range(2, 1 << 20))
      ->option_text("N [256]");
  command.add_option("--max-lines", options.max_items, "Lines of every task, evenly spread")
      ->check(CLI::Range(1, 1 << 30))
      ->option_text("N");
  add_recovery(command, arguments->recovery);
  command.add_option("--html", arguments->html, "Write a report of one page that needs nothing else")
      ->option_text("FILE");
  command.add_option("--plot", arguments->plot, "Write perplexity against cost as SVG")->option_text("FILE");
  add_threads(command, arguments->threads);
  add_json(command, arguments->json);
  command.footer(
      "Example:\n  elms eval compare assistant.gguf --text held-out.txt --calib wiki.txt --task snips.jsonl "
      "--html report.html\n"
      "With --recover-data and --recover-steps every smaller model is judged once more after low-rank "
      "recovery.");
  command.callback([arguments, &action] {
    const offline::RecoveryOptions& recovery = arguments->recovery.options;
    if (recovery.data.empty() != (recovery.n_steps == 0)) {
      throw CLI::ValidationError("--recover-data", "goes with --recover-steps");
    }
    action = [arguments] { return compare(*arguments); };
  });
}

}  // namespace elms_cli
