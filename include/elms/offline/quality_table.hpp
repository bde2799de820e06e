// The quality table of a model: what the planner believes of strategies without a decision head.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "elms/elastic_model.hpp"
#include "elms/offline/progress.hpp"
#include "elms/offline/tasks.hpp"
#include "elms/prompt_refiner.hpp"
#include "elms/slo.hpp"
#include "elms/status.hpp"

namespace elms::inline v0::offline {

struct QualityTableOptions {
  std::shared_ptr<const ElasticModel> model;
  /// Cuts the prompts; null: keep ratios are not measured but follow the planner's default curve.
  std::shared_ptr<const PromptRefiner> refiner;
  std::vector<double> keep_ratios = {0.2, 0.4, 0.6, 0.8};  ///< to measure, beside 1
  std::int64_t max_items = 0;                              ///< of every file, evenly spread; 0: all
  std::int32_t max_answer_tokens = 24;
  ProgressCallback progress;
};

struct QualityTable {
  StrategyQualities qualities;
  std::int64_t n_items = 0;
};

/// How often the model's own greedy answer to an item (its first line) is the right choice, at every level
/// and keep ratio; every file counts the same. Prompts are cut as task_segments() says. Levels of one cost
/// are averaged; a wider level or a longer prompt counts as at least as good as a narrower or shorter one.
/// kInvalidArgument for options and files that hold nothing, kNotFound without a tokenizer, kCancelled, and
/// what answering fails with.
[[nodiscard]] Result<QualityTable> measure_quality(std::span<const TaskFile> files,
                                                   const QualityTableOptions& options);

/// Writes the elastic GGUF `model` again with the table in its elms.quality.* keys; `source` says what it was
/// measured on. The file appears when it is complete. kUnsupported for what is no elastic GGUF,
/// kInvalidArgument for a table that is not valid() and for writing a file over itself, kNotFound, kIoError.
Status write_quality_table(const std::string& model, const StrategyQualities& table,
                           const std::string& source, const std::string& output);

}  // namespace elms::inline v0::offline
