#include "offline/compare/recipes.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

#include "offline/allocation.hpp"
#include "offline/compare/layer_removal.hpp"
#include "offline/levels/order_choice.hpp"
#include "offline/measure_importance.hpp"
#include "offline/unit_order.hpp"

namespace elms::inline v0::offline {

namespace {

using Slices = std::vector<LayerShape>;

constexpr std::size_t kRemovalWindows = 8;

Result<Importance> importance_of(const CompareInputs& inputs, ImportanceMethod method) {
  const CompareOptions& options = inputs.options;
  return measure_importance({inputs.path, inputs.source, inputs.calibration_tokens, options.calibration,
                             inputs.pool, options.progress},
                            method);
}

/// Whole layers that go first to last; of the rest as many stay as the target allows.
std::vector<Variant> layer_variants(const CompareInputs& inputs,
                                    const std::vector<std::int32_t>& removal_order) {
  const std::vector<LayerShape>& layers = inputs.model.config().layers;
  std::vector<Variant> variants;
  for (const double target : inputs.options.cost_targets) {
    for (std::size_t n_removed = 1; n_removed <= removal_order.size(); ++n_removed) {
      Variant variant;
      variant.target = target;
      std::uint64_t bytes = inputs.cost.full_bytes();
      for (std::size_t i = 0; i < layers.size(); ++i) {
        const auto end = removal_order.begin() + static_cast<std::ptrdiff_t>(n_removed);
        const bool removed = std::find(removal_order.begin(), end, static_cast<std::int32_t>(i)) != end;
        if (removed) {
          bytes -= inputs.cost.layer_bytes(i, layers[i]);
        } else {
          variant.kept.push_back(static_cast<std::int32_t>(i));
        }
      }
      variant.cost_share = static_cast<double>(bytes) / static_cast<double>(inputs.cost.full_bytes());
      if (variant.cost_share > target) continue;
      variants.push_back(std::move(variant));
      break;
    }
  }
  return variants;
}

Result<std::vector<std::int32_t>> removal_order_by_influence(const CompareInputs& inputs) {
  ELMS_ASSIGN_OR_RETURN(const std::vector<double> influence,
                        block_influence(*inputs.pool, inputs.model, inputs.calibration));
  std::vector<std::int32_t> order(influence.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
    return influence[static_cast<std::size_t>(a)] < influence[static_cast<std::size_t>(b)];
  });
  order.pop_back();
  return order;
}

/// Whether each layer is one of those whose removal harms most.
Result<std::vector<bool>> anchors_of(const CompareInputs& inputs, const TokenWindows& windows) {
  const std::size_t n_layers = inputs.model.config().layers.size();
  std::vector<double> losses;
  for (std::size_t layer = 0; layer < n_layers; ++layer) {
    std::vector<std::int32_t> without(n_layers);
    std::iota(without.begin(), without.end(), 0);
    without.erase(without.begin() + static_cast<std::ptrdiff_t>(layer));
    ELMS_ASSIGN_OR_RETURN(const double loss, loss_with_layers(*inputs.pool, inputs.model, windows, without));
    losses.push_back(loss);
  }
  std::vector<std::size_t> order(n_layers);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return losses[a] > losses[b]; });
  std::vector<bool> anchors(n_layers, false);
  const std::size_t n_anchors = n_layers >= 24 ? 6 : std::max<std::size_t>(1, n_layers / 4);
  for (std::size_t i = 0; i < std::min(n_anchors, n_layers); ++i) anchors[order[i]] = true;
  return anchors;
}

/// The widest slices inside the target that keep the anchors whole and the same share of every other layer.
Slices anchored_slices(const CompareInputs& inputs, const std::vector<bool>& anchors, double target) {
  constexpr int kSteps = 2000;
  Slices best;
  for (int step = 0; step < kSteps; ++step) {
    Slices slices = inputs.model.config().layers;
    for (std::size_t i = 0; i < slices.size(); ++i) {
      if (!anchors[i]) slices[i] = detail::uniform_slice(slices[i], step / double{kSteps}, inputs.rules);
    }
    if (inputs.cost.cost_share(slices) > target) break;
    best = std::move(slices);
  }
  return best;
}

std::vector<Variant> slice_variants(const CompareInputs& inputs, const std::vector<Slices>& slices) {
  std::vector<Variant> variants;
  for (std::size_t i = 0; i < slices.size(); ++i) {
    if (slices[i].empty()) continue;
    Variant variant{inputs.options.cost_targets[i], inputs.cost.cost_share(slices[i]), slices[i], {}};
    if (variant.cost_share <= variant.target) variants.push_back(std::move(variant));
  }
  return variants;
}

/// The slices of each target where `levels` were made for them all: the widest level that the target allows.
std::vector<Slices> slices_of(const CompareInputs& inputs, const std::vector<Level>& levels) {
  std::vector<Slices> slices;
  for (const double target : inputs.options.cost_targets) {
    Slices& widest = slices.emplace_back();
    for (const Level& level : levels) {
      if (level.cost_share <= target) widest = level.layers;
    }
  }
  return slices;
}

Result<std::vector<Slices>> cut(const CompareInputs& inputs, Recipe recipe, const MemoryModel& ordered,
                                const Importance& importance) {
  const ModelConfig& config = ordered.config();
  const std::vector<double>& targets = inputs.options.cost_targets;
  if (recipe == Recipe::kFlap)
    return slices_of(inputs, global_levels(inputs.cost, config, targets, inputs.rules, importance));
  if (recipe != Recipe::kAnchors)
    return slices_of(inputs, detail::uniform_levels(inputs.cost, config, targets, inputs.rules));
  ELMS_ASSIGN_OR_RETURN(const std::vector<bool> anchors,
                        anchors_of(inputs, first_windows(inputs.calibration, kRemovalWindows)));
  std::vector<Slices> slices;
  for (const double target : targets) slices.push_back(anchored_slices(inputs, anchors, target));
  return slices;
}

ImportanceMethod method_of(Recipe recipe) {
  switch (recipe) {
    case Recipe::kUniformMagnitude:
      return ImportanceMethod::kMagnitude;
    case Recipe::kLlmPruner:
    case Recipe::kAnchors:
      return ImportanceMethod::kTaylorWeights;
    default:
      return ImportanceMethod::kFlap;
  }
}

Result<RecipeVariants> our_variants(const CompareInputs& inputs) {
  const CompareOptions& options = inputs.options;
  std::vector<Importance> candidates;
  for (const ImportanceMethod method : {ImportanceMethod::kTaylor, ImportanceMethod::kFlap}) {
    ELMS_ASSIGN_OR_RETURN(Importance importance, importance_of(inputs, method));
    candidates.push_back(std::move(importance));
  }
  const std::size_t n_windows =
      std::max<std::size_t>(1, static_cast<std::size_t>(options.search_tokens) / inputs.calibration.length);
  const TokenWindows windows = first_windows(inputs.calibration, n_windows);
  ELMS_ASSIGN_OR_RETURN(const OrderedLevels found,
                        best_order({inputs.model, inputs.cost, inputs.rules, options.cost_targets, windows,
                                    *inputs.pool, options.progress},
                                   std::move(candidates)));
  ELMS_ASSIGN_OR_RETURN(MemoryModel ordered, with_order(inputs.model, found.order));
  return RecipeVariants{std::move(ordered), slice_variants(inputs, slices_of(inputs, found.levels))};
}

}  // namespace

Result<RecipeVariants> make_variants(const CompareInputs& inputs, Recipe recipe) {
  if (recipe == Recipe::kShortGpt || recipe == Recipe::kLayersByLoss) {
    ELMS_ASSIGN_OR_RETURN(const std::vector<std::int32_t> order,
                          recipe == Recipe::kShortGpt
                              ? removal_order_by_influence(inputs)
                              : removal_order_by_loss(*inputs.pool, inputs.model,
                                                      first_windows(inputs.calibration, kRemovalWindows)));
    ELMS_ASSIGN_OR_RETURN(MemoryModel same, with_slices(inputs.model, inputs.model.config().layers));
    return RecipeVariants{std::move(same), layer_variants(inputs, order)};
  }
  if (recipe == Recipe::kOurs) return our_variants(inputs);
  ELMS_ASSIGN_OR_RETURN(const Importance importance, importance_of(inputs, method_of(recipe)));
  const UnitOrder order = order_units(inputs.model.config(), importance, inputs.rules.cut_heads);
  ELMS_ASSIGN_OR_RETURN(MemoryModel ordered, with_order(inputs.model, order));
  ELMS_ASSIGN_OR_RETURN(const std::vector<Slices> slices,
                        cut(inputs, recipe, ordered, reordered(importance, order)));
  return RecipeVariants{std::move(ordered), slice_variants(inputs, slices)};
}

Result<MemoryModel> make_model(const MemoryModel& ordered, const Variant& variant) {
  return variant.kept.empty() ? with_slices(ordered, variant.slices)
                              : with_layers_kept(ordered, variant.kept);
}

}  // namespace elms::inline v0::offline
