// The quality table of a model: what the planner believes of strategies without a decision head.
#pragma once

#include <span>
#include <string>

#include "elms/offline/task_eval.hpp"
#include "elms/slo.hpp"
#include "elms/status.hpp"

namespace elms::inline v0::offline {

/// A table from accuracies at levels with the whole prompt. Keep ratios 0.1 to 1 follow the planner's default
/// curve between that accuracy and chance: only widths are measured. Levels of one cost are averaged.
/// kInvalidArgument for no scores.
[[nodiscard]] Result<StrategyQualities> quality_table(std::span<const TaskEvalResult> scores);

/// Writes the elastic GGUF `model` again with the table in its elms.quality.* keys; `source` says what it was
/// measured on. The file appears when it is complete. kUnsupported for what is no elastic GGUF,
/// kInvalidArgument for a table that is not valid() and for writing a file over itself, kNotFound, kIoError.
Status write_quality_table(const std::string& model, const StrategyQualities& table,
                           const std::string& source, const std::string& output);

}  // namespace elms::inline v0::offline
