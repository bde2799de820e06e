#include "elms/offline/compare.hpp"

#include <algorithm>
#include <utility>

#include "elms/detail/elastic_metadata.hpp"
#include "elms/detail/error.hpp"
#include "offline/compare/quality.hpp"
#include "offline/compare/recipes.hpp"
#include "offline/compare/recovery_course.hpp"
#include "offline/output_types.hpp"
#include "offline/progress_meter.hpp"

namespace elms::inline v0::offline {

namespace {

std::size_t count(std::int64_t n) {
  return static_cast<std::size_t>(std::max<std::int64_t>(0, n));
}

Status check(const detail::ModelSource& source, const CompareOptions& options) {
  double below = 0.0;
  for (const double target : options.cost_targets) {
    if (!(target > below) || target >= 1.0) {
      return detail::invalid_argument("compare: target ", target, " after ", below,
                                      ": cost targets ascend inside (0, 1)");
    }
    below = target;
  }
  if (options.calibration.window_tokens < 2 || options.calibration.max_tokens < 2 ||
      options.window_tokens < 2 || options.max_tokens < 2) {
    return detail::invalid_argument("compare: windows and texts have at least 2 tokens");
  }
  if (source.gguf() == nullptr || source.gguf()->find(detail::elastic_keys::kVersion) == nullptr) return {};
  const auto method = source.gguf()->string(detail::elastic_keys::kMethod);
  if (method.has_value() && *method == "none") return {};
  return detail::invalid_argument(source.path(),
                                  ": is elastic already; compare recipes on the original checkpoint");
}

/// The items that fit into the model's context, evenly spread, as tokens.
QualityMeter::Inputs::Task tokenize(const Tokenizer& tokenizer, const ModelConfig& config,
                                    const TaskFile& task, std::int64_t max_items) {
  QualityMeter::Inputs::Task out;
  out.name = task.name;
  const std::size_t n = max_items > 0 ? std::min(task.items.size(), count(max_items)) : task.items.size();
  for (std::size_t i = 0; i < n; ++i) {
    const TaskItem& item = task.items[i * task.items.size() / n];
    TaskTokens tokens = tokenize_task(tokenizer, item);
    std::size_t longest = 0;
    bool whole = !tokens.prompt.empty();
    for (const auto& choice : tokens.choices) {
      longest = std::max(longest, choice.size());
      whole = whole && !choice.empty();
    }
    if (!whole || tokens.prompt.size() + longest > count(config.context_length)) continue;
    out.items.push_back(std::move(tokens));
    out.answers.push_back(item.answer);
  }
  return out;
}

Result<QualityMeter::Inputs> quality_inputs(const Tokenizer& tokenizer, const ModelConfig& config,
                                            std::string_view text, const std::vector<TaskFile>& tasks,
                                            const CompareOptions& options) {
  QualityMeter::Inputs inputs;
  const std::size_t length = std::min(count(options.window_tokens), count(config.context_length));
  inputs.held_out =
      cut_windows(first_tokens(tokenizer, text, count(options.max_tokens)), tokenizer.bos(), length);
  if (inputs.held_out.n_windows() == 0)
    return detail::invalid_argument("compare: the held-out text predicts nothing");
  inputs.kl_windows = (count(options.kl_tokens) + inputs.held_out.length - 1) / inputs.held_out.length;
  inputs.n_prompts = count(options.prompts);
  for (const TaskFile& task : tasks) {
    inputs.tasks.push_back(tokenize(tokenizer, config, task, options.max_items));
    if (inputs.tasks.back().items.empty())
      return detail::invalid_argument("compare: no item of ", task.name, " fits into the context");
  }
  return inputs;
}

/// Appends how good the models of a recipe are.
Status judge(const CompareOptions& options, std::string_view recipe, std::string_view recovery,
             const std::vector<Variant>& variants, const std::vector<MemoryModel>& models,
             QualityMeter& meter, std::vector<CompareResult>& results) {
  ProgressMeter progress(options.progress, recipe);
  for (std::size_t i = 0; i < models.size(); ++i) {
    CompareResult result{
        std::string(recipe), std::string(recovery), variants[i].target, variants[i].cost_share, {}};
    ELMS_ASSIGN_OR_RETURN(result.quality, meter.measure(models[i]));
    results.push_back(std::move(result));
    ELMS_RETURN_IF_ERROR(progress.report(static_cast<double>(i + 1) / static_cast<double>(models.size())));
  }
  return {};
}

}  // namespace

std::string_view to_string(Recipe recipe) noexcept {
  switch (recipe) {
    case Recipe::kOurs:
      return "ours";
    case Recipe::kUniformMagnitude:
      return "uniform-magnitude";
    case Recipe::kLlmPruner:
      return "llm-pruner";
    case Recipe::kAnchors:
      return "anchors";
    case Recipe::kFlap:
      return "flap";
    case Recipe::kShortGpt:
      return "shortgpt";
    case Recipe::kLayersByLoss:
      return "layers-by-loss";
  }
  return "none";
}

std::vector<Recipe> all_recipes() {
  return {Recipe::kOurs, Recipe::kUniformMagnitude, Recipe::kLlmPruner,   Recipe::kAnchors,
          Recipe::kFlap, Recipe::kShortGpt,         Recipe::kLayersByLoss};
}

std::optional<Recipe> parse_recipe(std::string_view name) {
  for (const Recipe recipe : all_recipes()) {
    if (to_string(recipe) == name) return recipe;
  }
  return std::nullopt;
}

Result<std::vector<CompareResult>> compare_recipes(const std::string& input, std::string_view held_out_text,
                                                   std::string_view calibration_text,
                                                   const std::vector<TaskFile>& tasks,
                                                   const CompareOptions& options) {
  std::shared_ptr<ThreadPool> pool = options.pool;
  if (pool == nullptr) {
    ELMS_ASSIGN_OR_RETURN(pool, ThreadPool::create());
  }
  ELMS_ASSIGN_OR_RETURN(const std::unique_ptr<const detail::ModelSource> source,
                        detail::ModelSource::open(input));
  ELMS_RETURN_IF_ERROR(check(*source, options));
  ELMS_ASSIGN_OR_RETURN(const std::shared_ptr<const Tokenizer> tokenizer, source->open_tokenizer());
  ELMS_ASSIGN_OR_RETURN(const MemoryModel model, load_memory_model(*source));
  const OutputTypes types{options.type, source.get()};
  const detail::CostModel cost = types.cost_model();
  const detail::SliceRules rules = detail::slice_rules(source->config(), types.quantised());
  const std::vector<TokenId> tokens =
      first_tokens(*tokenizer, calibration_text, count(options.calibration.max_tokens));
  const std::size_t calibration_length =
      std::min(count(options.calibration.window_tokens), count(model.config().context_length));
  const TokenWindows calibration = cut_windows(tokens, tokenizer->bos(), calibration_length);
  if (calibration.n_windows() == 0)
    return detail::invalid_argument("compare: the calibration text predicts nothing");

  ELMS_ASSIGN_OR_RETURN(QualityMeter::Inputs judged,
                        quality_inputs(*tokenizer, model.config(), held_out_text, tasks, options));
  ELMS_ASSIGN_OR_RETURN(QualityMeter meter, QualityMeter::create(*pool, model, std::move(judged)));
  std::vector<CompareResult> results(1);
  results.front().recipe = "full";
  ELMS_ASSIGN_OR_RETURN(results.front().quality, meter.measure(model));
  std::optional<RecoveryCourse> course;
  if (options.recovery.has_value()) {
    ELMS_ASSIGN_OR_RETURN(course,
                          RecoveryCourse::open(model, *tokenizer, *options.recovery, options.progress, pool));
  }
  const CompareInputs inputs{input, *source, model, cost, rules, tokens, calibration, options, pool};
  for (const Recipe recipe : options.recipes) {
    ELMS_ASSIGN_OR_RETURN(const RecipeVariants made, make_variants(inputs, recipe));
    std::vector<MemoryModel> models;
    for (const Variant& variant : made.variants) {
      ELMS_ASSIGN_OR_RETURN(MemoryModel smaller, make_model(made.model, variant));
      models.push_back(std::move(smaller));
    }
    ELMS_RETURN_IF_ERROR(judge(options, to_string(recipe), "none", made.variants, models, meter, results));
    if (!course.has_value() || models.empty()) continue;
    ELMS_RETURN_IF_ERROR(course->teach(models));
    ELMS_RETURN_IF_ERROR(judge(options, to_string(recipe), to_string(RecoveryMethod::kLora), made.variants,
                               models, meter, results));
  }
  return results;
}

}  // namespace elms::inline v0::offline
