// elms tasks: task files from raw data, to train on and to judge by.
#include "elms/offline/tasks.hpp"

#include <cstdio>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "cli/arguments.hpp"
#include "cli/commands.hpp"
#include "cli/console.hpp"
#include "elms/detail/error.hpp"

namespace elms_cli {
namespace {

namespace offline = elms::offline;

struct TasksArguments {
  offline::TaskOptions options;
  std::string output;
  bool json = false;
};

const std::map<std::string, offline::TaskSource>& sources() {
  static const std::map<std::string, offline::TaskSource> kSources = [] {
    std::map<std::string, offline::TaskSource> names;
    for (const char* name : {"snips", "sgd", "clinc150", "banking77", "hwu64", "octopus", "llamatouch"}) {
      if (const auto source = offline::parse_task_source(name); source.has_value()) names[name] = *source;
    }
    return names;
  }();
  return kSources;
}

/// What the file holds, in numbers.
struct TaskFigures {
  std::size_t functions = 0, seen = 0;
  double prompt_bytes = 0.0, choices = 0.0;
};

TaskFigures figures_of(const std::vector<offline::TaskItem>& items) {
  TaskFigures summary;
  std::set<std::string> functions;
  for (const offline::TaskItem& item : items) {
    functions.insert(item.function);
    summary.seen += item.seen.value_or(true) ? 1 : 0;
    summary.prompt_bytes += static_cast<double>(item.prompt.size()) / static_cast<double>(items.size());
    summary.choices += static_cast<double>(item.choices.size()) / static_cast<double>(items.size());
  }
  summary.functions = functions.size();
  return summary;
}

elms::Status make(const TasksArguments& arguments) {
  const auto set = [&] {
    const InterruptGuard interrupt;
    ProgressBar bar;
    offline::TaskOptions options = arguments.options;
    options.progress = bar.callback(interrupt);
    return offline::make_tasks(options);
  }();
  if (!set.has_value()) return set.error();
  ELMS_RETURN_IF_ERROR(offline::write_tasks(set->items, arguments.output));
  const TaskFigures summary = figures_of(set->items);
  const char* source = offline::to_string(arguments.options.source);
  if (arguments.json) {
    print_json({{"output", arguments.output},
                {"task", source},
                {"lines", set->items.size()},
                {"seen", summary.seen},
                {"unseen", set->items.size() - summary.seen},
                {"functions", summary.functions},
                {"known_functions", set->functions},
                {"held_out_functions", set->held_out},
                {"requests", set->requests},
                {"out_of_scope", set->out_of_scope},
                {"mean_choices", summary.choices},
                {"mean_prompt_bytes", summary.prompt_bytes}});
    return {};
  }
  std::printf(
      "%s: %zu lines of %s, %zu functions; %zu seen, %zu unseen; %.1f choices and %.0f bytes of prompt on "
      "average\n",
      arguments.output.c_str(), set->items.size(), source, summary.functions, summary.seen,
      set->items.size() - summary.seen, summary.choices, summary.prompt_bytes);
  std::printf(
      "%s has %zu functions, %zu held out of training; %zu requests were read, and %zu that no function "
      "answers\n",
      source, set->functions, set->held_out, set->requests, set->out_of_scope);
  return {};
}

/// "8" or "3-12".
bool parse_range(const std::string& text, offline::CountRange& range) {
  int first = 0, last = 0, end = 0;
  const int length = static_cast<int>(text.size());
  if (text.size() > 9 || text.find_first_not_of("0123456789-") != std::string::npos) return false;
  if (std::sscanf(text.c_str(), "%4d-%4d%n", &first, &last, &end) == 2 && end == length && first >= 0 &&
      last >= first) {
    range = {first, last};
    return true;
  }
  if (std::sscanf(text.c_str(), "%4d%n", &first, &end) != 1 || end != length || first < 0) return false;
  range = {first, first};
  return true;
}

void add_range(CLI::App& command, const std::string& name, offline::CountRange& range,
               const std::string& description, const std::string& text) {
  command
      .add_option_function<std::string>(
          name, [&range](const std::string& value) { parse_range(value, range); }, description)
      ->check(CLI::Validator(
          [](std::string& value) {
            offline::CountRange ignored;
            return parse_range(value, ignored) ? std::string()
                                               : "\"" + value + "\": expected a number, or two as 3-12";
          },
          "", "range"))
      ->option_text(text);
}

void add_choice_of_requests(CLI::App& command, offline::TaskOptions& options) {
  static const std::map<std::string, offline::TaskSplit> kSplits = {{"all", offline::TaskSplit::kAll},
                                                                    {"train", offline::TaskSplit::kTrain},
                                                                    {"valid", offline::TaskSplit::kValid}};
  static const std::map<std::string, offline::UnseenFunctions> kUnseen = {
      {"include", offline::UnseenFunctions::kInclude},
      {"exclude", offline::UnseenFunctions::kExclude},
      {"only", offline::UnseenFunctions::kOnly}};
  command
      .add_option("--split", options.split,
                  "Requests to use; by a hash of their text 1 in 20 is for validation")
      ->transform(CLI::CheckedTransformer(kSplits).description(""))
      ->option_text("all|train|valid [all]");
  command
      .add_option("--unseen-functions", options.unseen,
                  "Functions held out of training: like all others, never listed, or the only ones asked for")
      ->transform(CLI::CheckedTransformer(kUnseen).description(""))
      ->option_text("include|exclude|only [include]");
  command.add_option("--part", options.part, "CLINC150: only this part of the file, such as test")
      ->option_text("NAME");
  command.add_option("--max-lines", options.max_items, "Write at most N lines, evenly spread over the data")
      ->check(CLI::Range(1, 1 << 30))
      ->option_text("N");
}

}  // namespace

void add_tasks(CLI::App& app, Action& action) {
  auto arguments = std::make_shared<TasksArguments>();
  offline::TaskOptions& options = arguments->options;
  CLI::App& command =
      *app.add_subcommand("tasks", "Make task files from raw data: choose the function for a request");
  command
      .add_option("--from", options.source,
                  "Format: snips, sgd, clinc150, banking77, hwu64, octopus or llamatouch")
      ->required()
      ->transform(CLI::CheckedTransformer(sources(), CLI::ignore_case).description(""))
      ->option_text("FORMAT");
  command.add_option("--in", options.inputs, "Files or folders of that format")
      ->required()
      ->option_text("PATH...");
  command.add_option("-o,--output", arguments->output, "JSON lines to write")
      ->required()
      ->option_text("FILE");
  add_range(command, "--functions", options.functions,
            "Functions listed in a prompt (default: 8; octopus: all)", "N|A-B");
  command
      .add_option("--renamed", options.renamed,
                  "Share of the functions whose names say nothing, so that descriptions must be read")
      ->check(CLI::Range(0.0, 1.0))
      ->option_text("X [0]");
  command
      .add_option("--by-example", options.by_example,
                  "Share of the functions described by one of their requests")
      ->check(CLI::Range(0.0, 1.0))
      ->option_text("X [0]");
  add_range(command, "--few-shot", options.few_shot, "Solved examples before the request", "N|A-B [0]");
  command.add_flag("--all-names", options.all_names,
                   "Choices are the names of all functions, listed or not: the list has to be read");
  command.add_flag("--arguments", options.arguments,
                   "Complete the call with its arguments (snips, sgd, hwu64)");
  add_choice_of_requests(command, options);
  command.add_option("--seed", options.seed, "The same seed gives the same file")->option_text("N [1]");
  add_json(command, arguments->json);
  command.footer(
      "Examples:\n"
      "  elms tasks --from snips --in data/snips -o snips.jsonl --functions 8\n"
      "  elms tasks --from clinc150 --in data_full.json --part test -o clinc.jsonl --few-shot 2\n"
      "  elms tasks --from sgd --in sgd/train -o sgd.jsonl --functions 3-12 --split train --unseen-functions "
      "exclude");
  bind(command, arguments, make, action);
}

}  // namespace elms_cli
