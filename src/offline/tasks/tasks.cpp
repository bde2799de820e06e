#include "elms/offline/tasks.hpp"

#include <algorithm>
#include <array>

#include "offline/tasks/calls.hpp"
#include "offline/tasks/corpus.hpp"

namespace elms::inline v0::offline {
namespace {

using detail::invalid_argument;

constexpr std::array<const char*, 7> kSourceNames = {"snips", "sgd",     "clinc150",  "banking77",
                                                     "hwu64", "octopus", "llamatouch"};

Result<tasks::Corpus> read_corpus(const TaskOptions& options) {
  switch (options.source) {
    case TaskSource::kSnips:
      return tasks::read_snips(options.inputs);
    case TaskSource::kSgd:
      return tasks::read_sgd(options.inputs);
    case TaskSource::kClinc150:
      return tasks::read_clinc150(options.inputs, options.part);
    case TaskSource::kBanking77:
      return tasks::read_banking77(options.inputs);
    case TaskSource::kHwu64:
      return tasks::read_hwu64(options.inputs);
    case TaskSource::kOctopus:
      return tasks::read_octopus(options.inputs);
    case TaskSource::kLlamaTouch:
      return tasks::read_llamatouch(options.inputs);
  }
  return invalid_argument("tasks: unknown source");
}

Status check_range(CountRange range, const char* what, std::int32_t least) {
  if (range.min == 0 && range.max == 0) return {};
  if (range.min >= least && range.max >= range.min) return {};
  return invalid_argument("tasks: ", range.min, " to ", range.max, " ", what, ": expected ", least,
                          " or more");
}

Status check_tasks(const TaskOptions& options) {
  ELMS_RETURN_IF_ERROR(check_range(options.functions, "functions", 2));
  ELMS_RETURN_IF_ERROR(check_range(options.few_shot, "examples", 0));
  for (const double share : {options.renamed, options.by_example}) {
    if (!(share >= 0.0 && share <= 1.0))
      return invalid_argument("tasks: a share of ", share, " functions: expected 0 to 1");
  }
  if (options.arguments && options.renamed > 0.0) {
    return invalid_argument("tasks: calls with arguments keep the names of their functions");
  }
  if (options.arguments && options.all_names) {
    return invalid_argument("tasks: calls with arguments have wrong calls as their other choices");
  }
  if (options.max_items < 0) return invalid_argument("tasks: at most ", options.max_items, " items");
  if (!options.part.empty() && options.source != TaskSource::kClinc150) {
    return invalid_argument("tasks: ", to_string(options.source),
                            " files have no parts, only clinc150 files have");
  }
  const bool annotated = options.source == TaskSource::kSnips || options.source == TaskSource::kSgd ||
                         options.source == TaskSource::kHwu64;
  if (options.arguments && !annotated) {
    return invalid_argument("tasks: ", to_string(options.source),
                            " has no annotated arguments: snips, sgd and hwu64 have");
  }
  if (options.source == TaskSource::kOctopus && options.unseen == UnseenFunctions::kExclude) {
    return invalid_argument("tasks: all functions of octopus are held out of training");
  }
  return {};
}

}  // namespace

const char* to_string(TaskSource source) noexcept {
  return kSourceNames[static_cast<std::size_t>(source)];
}

std::optional<TaskSource> parse_task_source(std::string_view name) noexcept {
  const auto found = std::find(kSourceNames.begin(), kSourceNames.end(), name);
  if (found == kSourceNames.end()) return std::nullopt;
  return static_cast<TaskSource>(found - kSourceNames.begin());
}

Result<TaskSet> make_tasks(const TaskOptions& options) {
  ELMS_RETURN_IF_ERROR(check_tasks(options));
  ELMS_ASSIGN_OR_RETURN(tasks::Corpus corpus, read_corpus(options));
  if (corpus.requests.empty()) {
    return detail::malformed(options.inputs.front(), ": no request found that one of the functions answers");
  }
  if (options.arguments) tasks::collect_parameters(corpus);
  TaskSet set;
  ELMS_ASSIGN_OR_RETURN(set.items, tasks::build_items(corpus, options));
  if (set.items.empty()) {
    return invalid_argument("tasks: none of ", corpus.requests.size(), " requests is left by these options");
  }
  for (const tasks::Function& function : corpus.functions) {
    if (function.listed_only) continue;
    ++set.functions;
    set.held_out += function.held_out ? 1 : 0;
  }
  set.requests = corpus.requests.size();
  set.out_of_scope = corpus.out_of_scope;
  return set;
}

}  // namespace elms::inline v0::offline
