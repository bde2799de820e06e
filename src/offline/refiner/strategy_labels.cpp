// Labels of the decision head: which strategies of the elastic model answer a prompt right.
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "elms/detail/error.hpp"
#include "elms/elastic_model.hpp"
#include "elms/offline/refiner_eval.hpp"
#include "elms/offline/refiner_training.hpp"
#include "elms/offline/task_eval.hpp"
#include "elms/prompt_refiner.hpp"
#include "offline/progress_meter.hpp"

namespace elms::inline v0::offline {
namespace {

using Json = nlohmann::json;

/// What labels are made with.
struct Labeller {
  std::shared_ptr<const PromptRefiner> refiner;
  std::shared_ptr<const ElasticModel> model;
  std::shared_ptr<const Tokenizer> tokenizer;
  std::vector<int> levels;
  const StrategyLabelOptions& options;

  /// right[level][ratio]
  Result<std::vector<std::vector<int>>> label(const TaskItem& item) const {
    std::vector<std::vector<int>> right(levels.size(), std::vector<int>(options.keep_ratios.size(), 0));
    const std::vector<Segment> prompt = task_segments(item.prompt);
    ELMS_ASSIGN_OR_RETURN(const PromptAnalysis analysis, refiner->analyse(prompt));
    std::size_t all = 0, compressible = 0;
    for (const Segment& segment : prompt) {
      const std::size_t n = tokenizer->encode(segment.text, {.add_special = false}).size();
      all += n;
      if (segment.may_lose_words()) compressible += n;
    }
    for (std::size_t k = 0; k < options.keep_ratios.size(); ++k) {
      const double kept = options.keep_ratios[k] * static_cast<double>(compressible);
      const std::size_t budget = all - compressible + static_cast<std::size_t>(kept) + 2;
      TaskItem shorter = item;
      if (options.keep_ratios[k] < 1.0) {
        const auto refined = refine_by_scores(prompt, analysis.scores, *tokenizer,
                                              RefineBudget::tokens(static_cast<std::int64_t>(budget)));
        if (!refined.has_value()) continue;
        shorter.prompt = refined->text;
      }
      ELMS_ASSIGN_OR_RETURN(const auto results,
                            evaluate_task(model, std::span<const TaskItem>(&shorter, 1), levels));
      for (std::size_t l = 0; l < levels.size(); ++l) right[l][k] = results[l].total.right > 0 ? 1 : 0;
    }
    return right;
  }
};

}  // namespace

Result<std::size_t> label_strategies(const StrategyLabelOptions& options) {
  for (const double ratio : options.keep_ratios) {
    if (!(ratio > 0.0 && ratio <= 1.0)) return detail::invalid_argument("labels: a keep ratio of ", ratio);
  }
  Labeller labeller{nullptr, nullptr, nullptr, {}, options};
  ELMS_ASSIGN_OR_RETURN(labeller.refiner, PromptRefiner::open(options.refiner, {.pool = options.pool}));
  ELMS_ASSIGN_OR_RETURN(labeller.model, ElasticModel::open(options.model, {.pool = options.pool}));
  ELMS_ASSIGN_OR_RETURN(labeller.tokenizer, labeller.model->tokenizer());
  std::vector<double> widths;
  for (std::size_t l = 0; l < labeller.model->levels().size(); ++l) {
    labeller.levels.push_back(static_cast<int>(l));
    widths.push_back(labeller.model->levels()[l].cost_share);
  }
  std::vector<TaskItem> items;
  for (const std::string& path : options.tasks) {
    ELMS_ASSIGN_OR_RETURN(std::vector<TaskItem> read, read_tasks(path));
    const std::size_t n = options.max_items == 0 ? read.size() : std::min(read.size(), options.max_items);
    for (std::size_t i = 0; i < n; ++i) items.push_back(std::move(read[i * read.size() / n]));
  }
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(options.output.c_str(), "wb"),
                                                             &std::fclose);
  if (file == nullptr) return detail::error(StatusCode::kIoError, options.output, ": cannot be written");
  ProgressMeter meter(options.progress, "label");
  for (std::size_t i = 0; i < items.size(); ++i) {
    ELMS_ASSIGN_OR_RETURN(const auto right, labeller.label(items[i]));
    const Json line = {{"prompt", items[i].prompt},
                       {"widths", widths},
                       {"keep_ratios", options.keep_ratios},
                       {"right", right}};
    const std::string text = line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
    if (std::fwrite(text.data(), 1, text.size(), file.get()) != text.size() || std::fflush(file.get()) != 0)
      return detail::error(StatusCode::kIoError, options.output, ": cannot be written");
    ELMS_RETURN_IF_ERROR(meter.report(static_cast<double>(i + 1) / static_cast<double>(items.size())));
  }
  return items.size();
}

}  // namespace elms::inline v0::offline
