// elms eval quality: accuracy by width on task files, written into the model for the planner.
#include <cstdio>
#include <filesystem>
#include <numeric>
#include <string>
#include <vector>

#include "cli/arguments.hpp"
#include "cli/commands.hpp"
#include "cli/console.hpp"
#include "elms/offline/quality_table.hpp"

namespace elms_cli {
namespace {

namespace offline = elms::offline;

struct QualityArguments {
  std::string model, output;
  std::vector<std::string> tasks;
  std::int64_t max_lines = 200;
  std::size_t threads = 0;
  bool json = false;
};

elms::Status evaluate_quality(const QualityArguments& arguments) {
  ELMS_ASSIGN_OR_RETURN(const auto model, open_model(arguments.model, arguments.threads));
  std::vector<int> levels(model->levels().size());
  std::iota(levels.begin(), levels.end(), 0);
  std::vector<offline::TaskEvalResult> scores;
  std::string source = "accuracy by width on";
  {
    const InterruptGuard interrupt;
    ProgressBar bar;
    for (const std::string& path : arguments.tasks) {
      ELMS_ASSIGN_OR_RETURN(const auto items, offline::read_tasks(path));
      offline::TaskEvalOptions options;
      options.max_items = arguments.max_lines;
      options.progress = bar.callback(interrupt);
      ELMS_ASSIGN_OR_RETURN(const auto results, offline::evaluate_task(model, items, levels, options));
      scores.insert(scores.end(), results.begin(), results.end());
      source += " " + std::filesystem::path(path).filename().string() + " (" +
                std::to_string(results.front().total.n) + ")";
    }
  }
  source += "; keep ratios below 1 by the default curve";
  ELMS_ASSIGN_OR_RETURN(const elms::StrategyQualities table, offline::quality_table(scores));
  ELMS_RETURN_IF_ERROR(offline::write_quality_table(arguments.model, table, source, arguments.output));
  if (arguments.json) {
    print_json({{"model", arguments.model},
                {"output", arguments.output},
                {"source", source},
                {"widths", table.widths},
                {"keep_ratios", table.keep_ratios},
                {"quality", table.quality}});
    return {};
  }
  Table rows({"width", "keep 0.1", "keep 0.5", "keep 1.0"});
  const std::size_t n_keep = table.keep_ratios.size();
  for (std::size_t w = 0; w < table.widths.size(); ++w) {
    const auto at = [&](std::size_t k) {
      return fixed(static_cast<double>(table.quality[w * n_keep + k]), 3);
    };
    rows.add({fixed(static_cast<double>(table.widths[w]), 2), at(0), at(4), at(n_keep - 1)});
  }
  rows.print();
  std::printf("\n%s: the model with this table (%s)\n", arguments.output.c_str(), source.c_str());
  return {};
}

}  // namespace

void add_eval_quality(CLI::App& eval, Action& action) {
  auto arguments = std::make_shared<QualityArguments>();
  CLI::App& command = *eval.add_subcommand(
      "quality", "Measure accuracy by width on task files and write it into the model, for elms plan");
  add_model(command, arguments->model);
  command.add_option("--tasks", arguments->tasks, "JSON lines (see elms tasks), one file or more")
      ->required()
      ->option_text("FILE...");
  command.add_option("-o,--output", arguments->output, "The model with the table")
      ->required()
      ->option_text("FILE");
  command.add_option("--max-lines", arguments->max_lines, "Use N lines of each file, evenly spread")
      ->check(CLI::Range(1, 1 << 30))
      ->option_text("N [200]");
  add_threads(command, arguments->threads);
  add_json(command, arguments->json);
  command.footer(
      "Every file counts the same. Keep ratios are not measured: they follow the planner's default curve.\n"
      "Example:\n  elms eval quality assistant.elastic.gguf --tasks snips.jsonl -o assistant.quality.gguf");
  bind(command, arguments, evaluate_quality, action);
}

}  // namespace elms_cli
