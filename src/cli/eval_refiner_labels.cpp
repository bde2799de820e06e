// elms eval refiner-labels: which strategies of an elastic model answer task prompts right.
#include <cstdio>

#include "cli/arguments.hpp"
#include "cli/commands.hpp"
#include "cli/console.hpp"
#include "elms/offline/refiner_training.hpp"

namespace elms_cli {
namespace {

struct RefinerLabelArguments {
  elms::offline::StrategyLabelOptions options;
  std::size_t threads = 0;
};

elms::Status refiner_labels(const RefinerLabelArguments& arguments) {
  elms::offline::StrategyLabelOptions options = arguments.options;
  ELMS_ASSIGN_OR_RETURN(options.pool, elms::ThreadPool::create(arguments.threads));
  std::size_t n = 0;
  {
    const InterruptGuard interrupt;
    ProgressBar bar;
    options.progress = bar.callback(interrupt);
    ELMS_ASSIGN_OR_RETURN(n, elms::offline::label_strategies(options));
  }
  std::printf("%s: labels of %zu prompts\n", options.output.c_str(), n);
  return {};
}

}  // namespace

void add_eval_refiner_labels(CLI::App& eval, Action& action) {
  auto arguments = std::make_shared<RefinerLabelArguments>();
  elms::offline::StrategyLabelOptions& options = arguments->options;
  CLI::App& command = *eval.add_subcommand(
      "refiner-labels",
      "Which widths and keep ratios answer task prompts right: what decision heads learn from");
  command.add_option("--model", options.refiner, "Refiner with a score head")
      ->required()
      ->option_text("FILE");
  command.add_option("--lm", options.model, "Elastic model")->required()->option_text("FILE");
  command.add_option("--task", options.tasks, "Files of elms tasks")->required()->option_text("FILE...");
  command.add_option("--keep", options.keep_ratios, "Keep ratios")->delimiter(',')->option_text("K,K,...");
  command.add_option("--max-lines", options.max_items, "At most, of each file, sampled evenly")
      ->option_text("N");
  command.add_option("-o,--output", options.output, "JSON lines to write")->required()->option_text("FILE");
  add_threads(command, arguments->threads);
  command.footer(
      "Example:\n  elms eval refiner-labels --model refiner.gguf --lm assistant.gguf --task snips.jsonl "
      "--max-lines 400 -o labels.jsonl");
  bind(command, arguments, refiner_labels, action);
}

}  // namespace elms_cli
