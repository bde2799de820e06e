// elms eval refiner: words kept against those that people keep. elms eval refiner-tasks: answers to prompts
// that were cut.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "cli/arguments.hpp"
#include "cli/commands.hpp"
#include "cli/console.hpp"
#include "cli/plot.hpp"
#include "cli/refiner_arguments.hpp"

namespace elms_cli {
namespace {

namespace offline = elms::offline;
using offline::ScoreMethod;

struct RefinerArguments {
  std::string model, lm, sentences, compressions;
  std::int64_t from_line = 0, max_pairs = 0;
  std::uint64_t seed = 1;
  std::size_t threads = 0;
  bool json = false;
};

elms::Result<offline::RefinerEvalResult> evaluate_pairs(const RefinerArguments& arguments) {
  ELMS_ASSIGN_OR_RETURN(const std::string sentences, read_text(arguments.sentences));
  ELMS_ASSIGN_OR_RETURN(const std::string compressions, read_text(arguments.compressions));
  offline::RefinerEvalOptions options;
  if (!arguments.model.empty()) {
    ELMS_ASSIGN_OR_RETURN(options.refiner, open_refiner(arguments.model, arguments.threads));
  }
  if (!arguments.lm.empty()) {
    ELMS_ASSIGN_OR_RETURN(options.model, open_model(arguments.lm, arguments.threads));
  }
  options.from_line = arguments.from_line;
  options.max_pairs = arguments.max_pairs;
  options.seed = arguments.seed;
  const InterruptGuard interrupt;
  ProgressBar bar;
  options.progress = bar.callback(interrupt);
  return offline::evaluate_refiner(sentences, compressions, options);
}

elms::Status refiner(const RefinerArguments& arguments) {
  ELMS_ASSIGN_OR_RETURN(const offline::RefinerEvalResult result, evaluate_pairs(arguments));
  Json list = Json::array();
  Table table({"method", "keep ratio", "precision", "recall", "F1", "n"});
  for (const offline::KeepScore& score : result.scores) {
    list.push_back({{"method", score.method},
                    {"keep_ratio", score.keep_ratio},
                    {"precision", score.precision},
                    {"recall", score.recall},
                    {"f1", score.f1},
                    {"n", score.n}});
    table.add({score.method, fixed(score.keep_ratio, 3), fixed(score.precision, 3), fixed(score.recall, 3),
               fixed(score.f1, 3), std::to_string(score.n)});
  }
  std::fprintf(stderr, "%lld pairs, %lld skipped: more than words were deleted\n",
               static_cast<long long>(result.n_pairs), static_cast<long long>(result.n_skipped));
  if (arguments.json) {
    print_json(list);
  } else {
    table.print();
  }
  return {};
}

struct RefinerTasksArguments {
  std::string model, lm, svg;
  std::vector<std::string> tasks;
  std::vector<ScoreMethod> methods;
  std::vector<double> keep_ratios = {1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2};
  WidthChoice choice;
  offline::RefinedTaskOptions options;
  std::size_t threads = 0;
  bool json = false;
};

/// A file's results, with the task's name.
struct TaskRows {
  std::string task;
  std::vector<offline::RefinedTaskResult> results;
};

elms::Result<std::vector<TaskRows>> evaluate_tasks(const RefinerTasksArguments& arguments) {
  ELMS_ASSIGN_OR_RETURN(const auto model, open_model(arguments.lm, arguments.threads));
  offline::RefinedTaskOptions options = arguments.options;
  ELMS_ASSIGN_OR_RETURN(options.level, resolve(arguments.choice, model->levels()));
  options.keep_ratios = arguments.keep_ratios;
  options.methods = arguments.methods;
  if (options.methods.empty()) {
    if (!arguments.model.empty()) options.methods.push_back(ScoreMethod::kRefiner);
    for (const ScoreMethod method :
         {ScoreMethod::kSelfInformation, ScoreMethod::kRandom, ScoreMethod::kTruncation}) {
      options.methods.push_back(method);
    }
  }
  if (!arguments.model.empty()) {
    ELMS_ASSIGN_OR_RETURN(options.refiner, open_refiner(arguments.model, arguments.threads));
  }
  const InterruptGuard interrupt;
  std::vector<TaskRows> all;
  for (const std::string& path : arguments.tasks) {
    ELMS_ASSIGN_OR_RETURN(const auto items, offline::read_tasks(path));
    ProgressBar bar;
    options.progress = bar.callback(interrupt);
    ELMS_ASSIGN_OR_RETURN(auto results, offline::evaluate_refined_task(model, items, options));
    all.push_back({std::filesystem::path(path).stem().string(), std::move(results)});
  }
  return all;
}

/// Accuracy against keep ratio, a line a method: the mean of the tasks.
elms::Status plot_tasks(const std::vector<TaskRows>& all, const std::string& path) {
  Plot plot;
  plot.title = "Right answers to prompts that were cut";
  plot.x_label = "share kept of the tokens outside the question";
  plot.y_label = "accuracy";
  plot.legend_on_left = true;
  for (std::size_t i = 0; i < all.front().results.size(); ++i) {
    const offline::RefinedTaskResult& first = all.front().results[i];
    if (plot.series.empty() || plot.series.back().label != to_string(first.method)) {
      plot.series.push_back({to_string(first.method), {}});
    }
    double sum = 0.0;
    for (const TaskRows& rows : all) sum += rows.results[i].accuracy;
    plot.series.back().points.push_back({first.keep_ratio, sum / static_cast<double>(all.size())});
  }
  for (Series& series : plot.series) {
    std::sort(series.points.begin(), series.points.end(),
              [](const Point& a, const Point& b) { return a.x < b.x; });
  }
  return write_svg(plot, path);
}

elms::Status refiner_tasks(const RefinerTasksArguments& arguments) {
  ELMS_ASSIGN_OR_RETURN(const std::vector<TaskRows> all, evaluate_tasks(arguments));
  Json list = Json::array();
  Table table({"task", "method", "keep", "n", "accuracy", "tokens before", "after"});
  for (const TaskRows& rows : all) {
    for (const offline::RefinedTaskResult& result : rows.results) {
      list.push_back({{"method", to_string(result.method)},
                      {"keep_ratio", result.keep_ratio},
                      {"task", rows.task},
                      {"n", result.n},
                      {"accuracy", result.accuracy},
                      {"tokens_before", result.tokens_before},
                      {"tokens_after", result.tokens_after}});
      table.add({rows.task, to_string(result.method), fixed(result.keep_ratio, 2), std::to_string(result.n),
                 fixed(result.accuracy, 3), fixed(result.tokens_before, 1), fixed(result.tokens_after, 1)});
    }
  }
  if (arguments.json) {
    print_json(list);
  } else {
    table.print();
  }
  return arguments.svg.empty() ? elms::Status() : plot_tasks(all, arguments.svg);
}

}  // namespace

void add_eval_refiner(CLI::App& eval, Action& action) {
  auto arguments = std::make_shared<RefinerArguments>();
  CLI::App& command =
      *eval.add_subcommand("refiner", "Words that a refiner keeps against those that people keep");
  command.add_option("-m,--model", arguments->model, "The refiner (without it: only the other methods)")
      ->option_text("GGUF");
  command.add_option("--lm", arguments->lm, "Language model of the method self-information")
      ->option_text("GGUF");
  command.add_option("--sentences", arguments->sentences, "A sentence a line")
      ->required()
      ->option_text("FILE");
  command.add_option("--compressions", arguments->compressions, "What people kept of it, line by line")
      ->required()
      ->option_text("FILE");
  command.add_option("--from-line", arguments->from_line, "Leave out the lines before (from 0)")
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{1} << 40))
      ->option_text("N [0]");
  command.add_option("--max", arguments->max_pairs, "Judge at most N lines")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 40))
      ->option_text("N");
  command.add_option("--seed", arguments->seed, "Of random scores")->option_text("N");
  add_threads(command, arguments->threads);
  add_json(command, arguments->json);
  command.footer(
      "Every method keeps as many words of a sentence as people did, but for stop words and best threshold.\n"
      "Example:\n  elms eval refiner --model refiner.gguf --lm assistant.gguf --sentences s.txt "
      "--compressions c.txt");
  bind(command, arguments, refiner, action);
}

void add_eval_refiner_tasks(CLI::App& eval, Action& action) {
  auto arguments = std::make_shared<RefinerTasksArguments>();
  CLI::App& command = *eval.add_subcommand(
      "refiner-tasks", "Right answers of a model to prompts that were cut, by method and keep ratio");
  command.add_option("-m,--model", arguments->model, "The refiner (without it: only the other methods)")
      ->option_text("GGUF");
  command.add_option("--lm", arguments->lm, "The model that answers, and whose tokens are counted")
      ->required()
      ->option_text("PATH");
  command.add_option("--task", arguments->tasks, "JSON lines as elms tasks writes them; may be repeated")
      ->required()
      ->option_text("FILE ...");
  command
      .add_option("--keep-ratios", arguments->keep_ratios,
                  "Shares to keep of the tokens outside the question")
      ->delimiter(',')
      ->check(width_validator())
      ->option_text("R,R,... [1,0.9,...,0.2]");
  add_score_methods(command, arguments->methods);
  add_refine_options(command, arguments->options.refine);
  add_width_choice(command, arguments->choice);
  command.add_option("--max-lines", arguments->options.max_items, "Use N lines, evenly spread over a file")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 40))
      ->option_text("N");
  command.add_option("--seed", arguments->options.seed, "Of random scores")->option_text("N");
  command
      .add_option("--svg", arguments->svg,
                  "Write a plot of accuracy against keep ratio, the mean of the tasks")
      ->option_text("FILE");
  add_threads(command, arguments->threads);
  add_json(command, arguments->json);
  command.footer(
      "The last line of a prompt is the question and stays whole, and the line before where it is only a "
      "cue.\n"
      "Example:\n  elms eval refiner-tasks --model refiner.gguf --lm assistant.gguf --task snips.jsonl --svg "
      "cut.svg");
  bind(command, arguments, refiner_tasks, action);
}

}  // namespace elms_cli
