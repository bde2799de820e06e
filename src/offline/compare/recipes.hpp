// What every recipe of a comparison makes of a model.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "elms/detail/cost.hpp"
#include "elms/detail/ladder.hpp"
#include "elms/detail/model_source.hpp"
#include "elms/offline/compare.hpp"
#include "offline/levels/memory_model.hpp"
#include "offline/levels/windows.hpp"

namespace elms::inline v0::offline {

/// What all recipes start from.
struct CompareInputs {
  const std::string& path;
  const detail::ModelSource& source;
  const MemoryModel& model;
  const detail::CostModel& cost;
  const detail::SliceRules& rules;
  const std::vector<TokenId>& calibration_tokens;
  const TokenWindows& calibration;
  const CompareOptions& options;
  std::shared_ptr<ThreadPool> pool;
};

/// One smaller model, as a recipe describes it.
struct Variant {
  double target = 1.0, cost_share = 1.0;
  std::vector<LayerShape> slices;  ///< of the layers; empty where whole layers go
  std::vector<std::int32_t> kept;  ///< layers; empty where slices say
};

struct RecipeVariants {
  MemoryModel model;              ///< in the order of the recipe
  std::vector<Variant> variants;  ///< of the targets that can be reached
};

[[nodiscard]] Result<RecipeVariants> make_variants(const CompareInputs& inputs, Recipe recipe);

/// The smaller model itself.
[[nodiscard]] Result<MemoryModel> make_model(const MemoryModel& ordered, const Variant& variant);

}  // namespace elms::inline v0::offline
