// What every source format becomes before prompts are made of it: functions, and requests that one of them
// answers.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "elms/detail/error.hpp"
#include "elms/offline/tasks.hpp"
#include "elms/status.hpp"

namespace elms::inline v0::offline::tasks {

struct Argument {
  std::string name, value;
};

struct Function {
  std::string name;                       ///< as listed: snake_case
  std::string domain;                     ///< functions of one domain are hard to tell apart
  std::vector<std::string> descriptions;  ///< one or more wordings
  std::vector<std::string> parameters;    ///< names, for calls with arguments
  bool held_out = false;                  ///< of training
  bool listed_only = false;               ///< no part of the data set: fills lists that are longer than it
};

struct Request {
  std::string text;  ///< one line
  std::size_t function = 0;
  std::vector<Argument> arguments;      ///< in the order of the text
  std::string argument_text;            ///< the text that the arguments' values are spans of; empty: `text`
  std::vector<std::size_t> companions;  ///< functions to list before all others
};

struct Corpus {
  TaskSource source = TaskSource::kSnips;
  std::vector<Function> functions;
  std::vector<Request> requests;
  std::size_t out_of_scope = 0;

  /// Index of the function with the label's name. One that nobody described is made, with its name in words.
  std::size_t find_or_add(std::string_view label);
  /// Adds a request unless the text is empty or stands there already for that function.
  void add(Request request);

 private:
  std::unordered_set<std::string> seen_;  ///< "function:text"
};

/// Descriptions that we wrote for a data set which has only names.
struct KnownFunction {
  const char* label;
  const char* domain;
  std::array<const char*, 2> descriptions;
};
[[nodiscard]] std::vector<KnownFunction> known_functions(TaskSource source);

/// Fills a corpus with the functions that are known of its source.
[[nodiscard]] Corpus corpus_of(TaskSource source);

using Paths = std::vector<std::string>;
[[nodiscard]] Result<Corpus> read_snips(const Paths& inputs);
[[nodiscard]] Result<Corpus> read_sgd(const Paths& inputs);
[[nodiscard]] Result<Corpus> read_clinc150(const Paths& inputs, const std::string& part);
[[nodiscard]] Result<Corpus> read_banking77(const Paths& inputs);
[[nodiscard]] Result<Corpus> read_hwu64(const Paths& inputs);
[[nodiscard]] Result<Corpus> read_octopus(const Paths& inputs);
[[nodiscard]] Result<Corpus> read_llamatouch(const Paths& inputs);

/// Items of a corpus under the options; `prompt.cpp`.
[[nodiscard]] Result<std::vector<TaskItem>> build_items(const Corpus& corpus, const TaskOptions& options);

}  // namespace elms::inline v0::offline::tasks
