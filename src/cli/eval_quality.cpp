// elms eval quality: accuracy by width on task files, written into the model for the planner.
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "cli/arguments.hpp"
#include "cli/commands.hpp"
#include "cli/console.hpp"
#include "cli/refiner_arguments.hpp"
#include "elms/offline/quality_table.hpp"

namespace elms_cli {
namespace {

namespace offline = elms::offline;

struct QualityArguments {
  std::string model, refiner, output;
  std::vector<std::string> tasks;
  offline::QualityTableOptions options;
  std::size_t threads = 0;
  bool json = false;
};

std::string source_in_words(const QualityArguments& arguments, std::int64_t n_items) {
  std::string source = "right answers to " + std::to_string(n_items) + " items of";
  for (const std::string& path : arguments.tasks)
    source += " " + std::filesystem::path(path).filename().string();
  return source + (arguments.refiner.empty()
                       ? std::string("; keep ratios below 1 by the default curve")
                       : " cut by " + std::filesystem::path(arguments.refiner).filename().string());
}

void print_qualities(const elms::StrategyQualities& table) {
  std::vector<std::string> header = {"width"};
  for (const float keep : table.keep_ratios) header.push_back("keep " + fixed(static_cast<double>(keep), 1));
  Table rows(header);
  for (std::size_t w = 0; w < table.widths.size(); ++w) {
    std::vector<std::string> row = {fixed(static_cast<double>(table.widths[w]), 2)};
    for (std::size_t k = 0; k < table.keep_ratios.size(); ++k)
      row.push_back(fixed(static_cast<double>(table.at(w, k)), 3));
    rows.add(std::move(row));
  }
  rows.print();
}

elms::Status evaluate_quality(const QualityArguments& arguments) {
  offline::QualityTableOptions options = arguments.options;
  ELMS_ASSIGN_OR_RETURN(options.model, open_model(arguments.model, arguments.threads));
  if (!arguments.refiner.empty()) {
    ELMS_ASSIGN_OR_RETURN(options.refiner, open_refiner(arguments.refiner, arguments.threads));
  }
  std::vector<offline::TaskFile> files;
  for (const std::string& path : arguments.tasks) {
    ELMS_ASSIGN_OR_RETURN(auto items, offline::read_tasks(path));
    files.push_back({std::filesystem::path(path).stem().string(), std::move(items)});
  }
  const auto measured = [&] {
    const InterruptGuard interrupt;
    ProgressBar bar;
    options.progress = bar.callback(interrupt);
    return offline::measure_quality(files, options);
  }();
  if (!measured.has_value()) return measured.error();
  const elms::StrategyQualities& table = measured->qualities;
  const std::string source = source_in_words(arguments, measured->n_items);
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
  print_qualities(table);
  std::printf("\n%s: the model with this table (%s)\n", arguments.output.c_str(), source.c_str());
  return {};
}

}  // namespace

void add_eval_quality(CLI::App& eval, Action& action) {
  auto arguments = std::make_shared<QualityArguments>();
  CLI::App& command = *eval.add_subcommand(
      "quality",
      "Measure right answers by width and keep ratio and write them into the model, for its plans");
  add_model(command, arguments->model);
  command.add_option("--tasks", arguments->tasks, "JSON lines (see elms tasks), one file or more")
      ->required()
      ->option_text("FILE...");
  command.add_option("-o,--output", arguments->output, "The model with the table")
      ->required()
      ->option_text("FILE");
  command
      .add_option("-r,--refiner", arguments->refiner,
                  "Cuts the prompts; without it keep ratios follow a default curve")
      ->option_text("GGUF");
  command.add_option("--keep-ratios", arguments->options.keep_ratios, "Keep ratios to measure, beside 1")
      ->delimiter(',')
      ->check(width_validator())
      ->option_text("R,R,... [0.2,0.4,0.6,0.8]");
  command.add_option("--max-lines", arguments->options.max_items, "Use N lines of each file, evenly spread")
      ->check(CLI::Range(1, 1 << 30))
      ->option_text("N");
  add_threads(command, arguments->threads);
  add_json(command, arguments->json);
  command.footer(
      "The model's own answers count, every file the same. Use requests that the evaluation will not ask.\n"
      "Example:\n  elms eval quality assistant.elastic.gguf --refiner refiner.gguf --tasks snips.jsonl -o "
      "assistant.quality.gguf");
  bind(command, arguments, evaluate_quality, action);
}

}  // namespace elms_cli
