// Task files from raw data: choose the function for a request from a list of described functions in the
// prompt.
//
// One item is a prompt, some choices and which of them is right; examples/models/TASKS.md shows the shapes.
// The same files train a model (prompt and completion) and judge it (offline/task_eval.hpp).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "elms/offline/progress.hpp"
#include "elms/status.hpp"

namespace elms::inline v0::offline {

/// Formats of raw data.
enum class TaskSource : std::uint8_t { kSnips, kSgd, kClinc150, kBanking77, kHwu64, kOctopus, kLlamaTouch };

/// "snips", "sgd", "clinc150", "banking77", "hwu64", "octopus", "llamatouch". Static storage.
[[nodiscard]] const char* to_string(TaskSource source) noexcept;
/// The source of that name; empty where there is none.
[[nodiscard]] std::optional<TaskSource> parse_task_source(std::string_view name) noexcept;

/// Which requests: a stable hash of the request's text puts 1 in 20 into kValid and the rest into kTrain.
enum class TaskSplit : std::uint8_t { kAll, kTrain, kValid };

/// What becomes of the functions that are held out of training: by a stable hash of their name about 1 in 7
/// functions of CLINC150, BANKING77 and HWU64, and whole domains of SGD services; all of Octopus; none of
/// SNIPS and LlamaTouch.
enum class UnseenFunctions : std::uint8_t {
  kInclude,  ///< they are like all others
  kExclude,  ///< no request of theirs, and no prompt ever lists one
  kOnly,     ///< only requests of theirs
};

/// Smallest and largest number, both included; what lies between is drawn anew for each item.
struct CountRange {
  std::int32_t min = 0;
  std::int32_t max = 0;
};

struct TaskOptions {
  TaskSource source = TaskSource::kSnips;
  std::vector<std::string> inputs;  ///< files or folders of that format
  std::string part;                 ///< CLINC150: only this part of the file, e.g. "test"; empty: all of it
  CountRange functions;             ///< listed in a prompt; 0: 8, and all of them for Octopus
  CountRange few_shot;              ///< solved examples of other requests before the request
  double renamed = 0.0;     ///< share of listed functions that get a name which says nothing, so that the
                            ///< description must be read; not with `arguments`
  double by_example = 0.0;  ///< share of listed functions described by one of their requests instead
  bool all_names = false;   ///< the choices are the names of all the source's functions, not of the listed
                           ///< ones alone: whoever answers has to read which are listed; not with `arguments`
  bool arguments = false;   ///< complete the call with its arguments instead of the function's name
  TaskSplit split = TaskSplit::kAll;
  UnseenFunctions unseen = UnseenFunctions::kInclude;
  std::int64_t max_items = 0;  ///< sampled evenly over the data; 0: all
  std::uint64_t seed = 1;
  ProgressCallback progress;
};

struct TaskItem {
  std::string task;  ///< e.g. "snips"
  std::string prompt;
  std::vector<std::string> choices;  ///< each continues the prompt
  std::size_t answer = 0;            ///< index of the right choice
  std::string function;              ///< name of the right function; empty where a file has none
  std::optional<bool> seen;  ///< whether training may have used the function; empty where a file does not say
  std::vector<std::pair<std::size_t, std::size_t>>
      solved;  ///< byte ranges of the prompt: answers of its examples
};

/// Items that belong together, as a file has them.
struct TaskFile {
  std::string name;
  std::vector<TaskItem> items;
};

struct TaskSet {
  std::vector<TaskItem> items;   ///< in an order that the seed shuffles
  std::size_t functions = 0;     ///< known of this source
  std::size_t held_out = 0;      ///< of those, held out of training
  std::size_t requests = 0;      ///< read, without repetitions
  std::size_t out_of_scope = 0;  ///< requests left out because no function answers them
};

/// Reads the inputs and makes one item for each request that the options let through. The same options and
/// files give the same items on every machine. kNotFound, kIoError; kMalformedFile names file and place;
/// kInvalidArgument for options that fit no data, among them kExclude with Octopus; kCancelled.
[[nodiscard]] Result<TaskSet> make_tasks(const TaskOptions& options);

/// Writes JSON lines {"task", "prompt", "choices", "answer", "completion", "function", "seen", "solved"}, one
/// for each item. The file appears only when it is complete. kIoError.
Status write_tasks(std::span<const TaskItem> items, const std::string& path);

/// Reads JSON lines that have at least "prompt", "choices" (two or more texts) and "answer" (an index, or one
/// of the choices). kNotFound, kIoError; kMalformedFile names the line.
[[nodiscard]] Result<std::vector<TaskItem>> read_tasks(const std::string& path);

}  // namespace elms::inline v0::offline
