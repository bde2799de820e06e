// What cutting the prompts of a task costs in right answers.
#include <algorithm>
#include <cmath>

#include "elms/detail/error.hpp"
#include "elms/offline/refiner_eval.hpp"
#include "elms/offline/task_eval.hpp"
#include "offline/progress_meter.hpp"

namespace elms::inline v0::offline {
namespace {

struct CutItems {
  std::vector<TaskItem> items;
  double tokens_before = 0.0, tokens_after = 0.0;
};

/// Tokens of the question and of that share of everything else; at least the question fits.
std::size_t budget_of(const Tokenizer& tokenizer, std::span<const Segment> prompt, std::size_t n_before,
                      double keep_ratio) {
  std::string question;
  for (const Segment& segment : prompt) {
    if (!segment.may_lose_words()) question += segment.text;
  }
  const std::size_t n_question = std::min(n_before, tokenizer.encode(question).size());
  return n_question +
         static_cast<std::size_t>(std::floor(keep_ratio * static_cast<double>(n_before - n_question) + 1e-9));
}

Result<CutItems> cut_items(std::span<const TaskItem> items, const Tokenizer& tokenizer,
                           std::span<const std::vector<float>> scores, double keep_ratio,
                           const RefineOptions& options) {
  CutItems cut;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const std::vector<Segment> prompt = task_segments(items[i].prompt);
    const std::size_t n_before = tokenizer.encode(items[i].prompt).size();
    const std::size_t budget = budget_of(tokenizer, prompt, n_before, keep_ratio);
    ELMS_ASSIGN_OR_RETURN(RefinedPrompt refined,
                          refine_by_scores(prompt, scores[i], tokenizer,
                                           RefineBudget::tokens(static_cast<std::int64_t>(budget)), options));
    TaskItem& item = cut.items.emplace_back(items[i]);
    item.prompt = std::move(refined.text);
    item.solved.clear();
    cut.tokens_before += static_cast<double>(refined.tokens_before) / static_cast<double>(items.size());
    cut.tokens_after += static_cast<double>(refined.tokens_after) / static_cast<double>(items.size());
  }
  return cut;
}

Status check_refined_tasks(const ElasticModel* model, std::span<const TaskItem> items,
                   const RefinedTaskOptions& options) {
  if (model == nullptr) return detail::invalid_argument("task: the model is null");
  if (items.empty()) return detail::invalid_argument("task: there are no items");
  if (options.max_items < 0) return detail::invalid_argument("task: at most ", options.max_items, " items");
  for (const double ratio : options.keep_ratios) {
    if (!(ratio > 0.0 && ratio <= 1.0)) {
      return detail::invalid_argument("task: a keep ratio of ", ratio, ", expected above 0 and at most 1");
    }
  }
  return {};
}

}  // namespace

std::vector<Segment> task_segments(std::string_view prompt) {
  const auto line_before = [&](std::size_t end) {  // where the line that ends at `end` begins
    const std::size_t line_break = end == 0 ? std::string_view::npos : prompt.rfind('\n', end - 1);
    return line_break == std::string_view::npos ? 0 : line_break + 1;
  };
  const std::size_t last = prompt.find_last_not_of(" \t\r\n");
  std::size_t question = last == std::string_view::npos ? 0 : line_before(last + 1);
  const std::string_view line =
      prompt.substr(question, last == std::string_view::npos ? 0 : last + 1 - question);
  const bool cue = !line.empty() && line.back() == ':' && std::count(line.begin(), line.end(), ' ') < 3;
  if (cue && question > 0) question = line_before(question - 1);
  std::vector<Segment> segments;
  if (question > 0) segments.push_back(Segment::compress(std::string(prompt.substr(0, question))));
  segments.push_back(Segment::protect(std::string(prompt.substr(question)), SegmentRole::kQuestion));
  return segments;
}

Result<std::vector<RefinedTaskResult>> evaluate_refined_task(std::shared_ptr<const ElasticModel> model,
                                                             std::span<const TaskItem> items,
                                                             const RefinedTaskOptions& options) {
  ELMS_RETURN_IF_ERROR(check_refined_tasks(model.get(), items, options));
  ELMS_ASSIGN_OR_RETURN(const std::shared_ptr<const Tokenizer> tokenizer, model->tokenizer());
  std::size_t n = items.size();
  if (options.max_items > 0) n = std::min(n, static_cast<std::size_t>(options.max_items));
  std::vector<TaskItem> chosen;
  for (std::size_t i = 0; i < n; ++i) chosen.push_back(items[i * items.size() / n]);

  WordScorer scorer(options.refiner, model, options.seed);
  const int levels[] = {options.level};
  ProgressMeter progress(options.progress, "task");
  const std::size_t n_runs = options.methods.size() * options.keep_ratios.size();
  std::vector<RefinedTaskResult> results;
  for (const ScoreMethod method : options.methods) {
    std::vector<std::vector<float>> scores;
    for (const TaskItem& item : chosen) {
      ELMS_ASSIGN_OR_RETURN(scores.emplace_back(),
                            scorer.score(method, task_segments(item.prompt), options.refine));
    }
    RefineOptions refine = options.refine;
    if (method != ScoreMethod::kRefiner) refine.filter = RefineFilter::kNone;
    for (const double ratio : options.keep_ratios) {
      ELMS_ASSIGN_OR_RETURN(const CutItems cut, cut_items(chosen, *tokenizer, scores, ratio, refine));
      ELMS_ASSIGN_OR_RETURN(const std::vector<TaskEvalResult> evaluated,
                            evaluate_task(model, cut.items, levels));
      const Score& score = evaluated.front().total;
      results.push_back({method, ratio, score.n, score.accuracy(), cut.tokens_before, cut.tokens_after});
      ELMS_RETURN_IF_ERROR(
          progress.report(static_cast<double>(results.size()) / static_cast<double>(n_runs)));
    }
  }
  return results;
}

}  // namespace elms::inline v0::offline
