// Our levels against other ways to make a model smaller, at equal real cost.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "elms/offline/importance.hpp"
#include "elms/offline/progress.hpp"
#include "elms/offline/recovery.hpp"
#include "elms/offline/tasks.hpp"
#include "elms/status.hpp"

namespace elms::inline v0::offline {

/// A way to make a model cheaper. All but the last two keep every layer and cut units out of it.
enum class Recipe : std::uint8_t {
  kOurs,  ///< units by kTaylor or kFlap, whichever keeps simple cuts nearer to the full model; levels by
          ///< search
  kUniformMagnitude,  ///< units by kMagnitude, the same share of every layer
  kLlmPruner,         ///< units by kTaylorWeights, the same share of every layer (arXiv 2305.11627)
  kAnchors,   ///< the layers whose removal harms most stay whole, the others share what is left; units by
              ///< kTaylorWeights (ELMS: 6 anchors, or a quarter of the layers of models with fewer than 24)
  kFlap,      ///< units by kFlap, all layers compete by standardised score (arXiv 2312.11983)
  kShortGpt,  ///< whole layers go, those first that change their input least in direction (arXiv 2403.03853)
  kLayersByLoss,  ///< whole layers go, each time the one whose removal harms the loss least
};

/// "ours", "uniform-magnitude", "llm-pruner", "anchors", "flap", "shortgpt", "layers-by-loss". Static
/// storage.
[[nodiscard]] std::string_view to_string(Recipe recipe) noexcept;
[[nodiscard]] std::vector<Recipe> all_recipes();
/// By these names; nothing for others.
[[nodiscard]] std::optional<Recipe> parse_recipe(std::string_view name);

struct CompareOptions {
  std::vector<Recipe> recipes = all_recipes();
  std::vector<double> cost_targets = {0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9};  ///< ascending, (0, 1)
  std::optional<DType> type;          ///< whose bytes are the cost; nothing: as each tensor is stored
  CalibrationOptions calibration;     ///< the same for all recipes
  std::int32_t search_tokens = 1024;  ///< see ElasticizeOptions
  std::int32_t max_tokens = 16384;    ///< of the held-out text
  std::int32_t window_tokens = 256;
  std::int32_t kl_tokens = 4096;  ///< of the held-out text, that KL is measured on
  std::int32_t prompts = 4;       ///< of the generation check, from the held-out text
  std::int64_t max_items = 0;     ///< of every task, evenly spread; 0: all
  /// Every smaller model is judged once more with low-rank updates that it learnt from the full model: all
  /// models on the same batches. Only kLora; levels, biases, pool and progress of it are not used.
  std::optional<RecoveryOptions> recovery;
  std::shared_ptr<ThreadPool> pool;  ///< null: one of its own
  ProgressCallback progress;
};

/// How good one smaller model is, in f32.
struct Quality {
  double perplexity = 0.0;  ///< of the held-out text
  double divergence = 0.0;  ///< mean KL(full || smaller) of the next token, in nats
  double repeated_4grams =
      0.0;  ///< share of the 4-grams of its greedy texts that occurred in the same text before
  double nll_under_full =
      0.0;  ///< mean negative log likelihood of its greedy texts under the full model, in nats
  std::map<std::string, double> accuracy;  ///< by task
};

struct CompareResult {
  std::string recipe;             ///< "full" for the full model
  std::string recovery = "none";  ///< what was done to the smaller model after it was cut
  double target = 1.0;            ///< cost that was asked for
  double cost_share = 1.0;        ///< real cost, at most the target
  Quality quality;
};

/// The full model first, then every recipe at every target that it can reach, then with recovery the same
/// again. Models are cut out of `input` (GGUF or Hugging Face directory, not elastic yet) and judged in f32.
/// Deterministic. kInvalidArgument for an elastic input, for texts that are too short and for targets that do
/// not ascend; kCancelled; and what reading the model fails with.
[[nodiscard]] Result<std::vector<CompareResult>> compare_recipes(const std::string& input,
                                                                 std::string_view held_out_text,
                                                                 std::string_view calibration_text,
                                                                 const std::vector<TaskFile>& tasks,
                                                                 const CompareOptions& options = {});

}  // namespace elms::inline v0::offline
