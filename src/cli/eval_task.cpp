// elms eval task: how often a model finds the right choice, at each width.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "cli/arguments.hpp"
#include "cli/commands.hpp"
#include "cli/console.hpp"
#include "elms/offline/task_eval.hpp"

namespace elms_cli {
namespace {

namespace offline = elms::offline;

struct TaskArguments {
  std::string model, task;
  std::vector<double> widths;
  std::int64_t max_lines = 0;
  elms::KvType kv = elms::KvType::kF16;
  std::size_t threads = 0;
  bool json = false;
};

/// The name that all items agree on; otherwise the file's.
std::string name_of_task(const std::vector<offline::TaskItem>& items, const std::string& path) {
  const std::string& name = items.front().task;
  const bool same = std::all_of(items.begin(), items.end(),
                                [&](const offline::TaskItem& item) { return item.task == name; });
  return same && !name.empty() ? name : std::filesystem::path(path).stem().string();
}

Json score_json(const offline::Score& score) {
  return {{"n", score.n}, {"accuracy", score.accuracy()}};
}

Json task_json(const std::string& task, double width, const offline::TaskEvalResult& result) {
  Json json = {{"task", task},
               {"width", width},
               {"level", result.level},
               {"n", result.total.n},
               {"accuracy", result.total.accuracy()},
               {"accuracy_normalised", result.normalised.accuracy()},
               {"chance", result.chance},
               {"cost_share", result.cost_share},
               {"skipped", result.skipped}};
  if (result.seen.n > 0) json["seen"] = score_json(result.seen);
  if (result.unseen.n > 0) json["unseen"] = score_json(result.unseen);
  return json;
}

std::vector<std::string> task_row(double width, const offline::TaskEvalResult& result) {
  const auto share = [](const offline::Score& score) {
    return score.n > 0 ? fixed(score.accuracy(), 3) : std::string("-");
  };
  return {fixed(width, 2),
          std::to_string(result.level),
          fixed(result.cost_share, 3),
          std::to_string(result.total.n),
          share(result.total),
          share(result.normalised),
          share(result.seen),
          share(result.unseen),
          fixed(result.chance, 3),
          std::to_string(result.skipped)};
}

elms::Status evaluate_task_file(const TaskArguments& arguments) {
  ELMS_ASSIGN_OR_RETURN(const auto items, offline::read_tasks(arguments.task));
  ELMS_ASSIGN_OR_RETURN(const auto model, open_model(arguments.model, arguments.threads));
  std::vector<double> widths = arguments.widths;
  if (widths.empty()) {
    for (const elms::Level& level : model->levels()) widths.push_back(level.cost_share);
  }
  // Widths that share a level are evaluated once.
  std::vector<int> distinct;
  for (const double width : widths) distinct.push_back(model->level_for_width(width));
  std::sort(distinct.begin(), distinct.end());
  distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());

  const auto results = [&] {
    const InterruptGuard interrupt;
    ProgressBar bar;
    offline::TaskEvalOptions options;
    options.max_items = arguments.max_lines;
    options.kv_type = arguments.kv;
    options.progress = bar.callback(interrupt);
    return offline::evaluate_task(model, items, distinct, options);
  }();
  if (!results.has_value()) return results.error();

  const std::string task = name_of_task(items, arguments.task);
  Json list = Json::array();
  Table table({"width", "level", "cost", "n", "accuracy", "per byte", "seen", "unseen", "chance", "skipped"});
  for (const double width : widths) {
    const auto at =
        std::lower_bound(distinct.begin(), distinct.end(), model->level_for_width(width)) - distinct.begin();
    const offline::TaskEvalResult& result = (*results)[static_cast<std::size_t>(at)];
    list.push_back(task_json(task, width, result));
    table.add(task_row(width, result));
  }
  if (arguments.json) {
    print_json(list.size() == 1 ? list.front() : list);
    return {};
  }
  std::printf("%s\n\n", task.c_str());
  table.print();
  return {};
}

}  // namespace

void add_eval_task(CLI::App& eval, Action& action) {
  auto arguments = std::make_shared<TaskArguments>();
  CLI::App& command =
      *eval.add_subcommand("task", "Share of a task file's items of which the right choice is the likeliest");
  add_model(command, arguments->model);
  command
      .add_option("--task", arguments->task,
                  "JSON lines with \"prompt\", \"choices\" and \"answer\" (see elms tasks)")
      ->required()
      ->option_text("FILE");
  add_widths(command, "-w,--width,--widths", arguments->widths,
             "Widths to measure at (default: every level)");
  command.add_option("--max-lines", arguments->max_lines, "Use N lines, evenly spread over the file")
      ->check(CLI::Range(1, 1 << 30))
      ->option_text("N");
  add_kv(command, arguments->kv);
  add_threads(command, arguments->threads);
  add_json(command, arguments->json);
  command.footer(
      "A choice is scored by the sum of the log probabilities of its tokens after the prompt.\n"
      "Example:\n  elms eval task assistant.elastic.gguf --task snips.jsonl --width 0.5 --json");
  bind(command, arguments, evaluate_task_file, action);
}

}  // namespace elms_cli
