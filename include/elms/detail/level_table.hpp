// The levels of a checkpoint, read without touching its weights.
#pragma once

#include <optional>
#include <vector>

#include "elms/detail/elastic_metadata.hpp"
#include "elms/detail/ladder.hpp"
#include "elms/detail/model_source.hpp"
#include "elms/detail/model_weights.hpp"
#include "elms/level.hpp"

namespace elms::inline v0::detail {

struct LevelTable {
  std::optional<ElasticMetadata> elastic;  ///< nothing where the file has no `elms.*` keys
  std::vector<Level> levels;               ///< ascending by cost, the full model last
};

/// The levels that the file holds; where it holds none, a ladder of uniform ones on request, else the full model only.
inline Result<LevelTable> load_levels(const ModelSource& source, bool uniform_levels_if_none) {
  const ModelConfig& config = source.config();
  const bool quantised = cut_inputs_are_quantised(source);
  ELMS_ASSIGN_OR_RETURN(const CostModel cost, make_cost_model(source));
  LevelTable table;
  if (source.gguf() != nullptr) {
    ELMS_ASSIGN_OR_RETURN(table.elastic, read_elastic_metadata(*source.gguf(), config, quantised));
  }
  if (table.elastic.has_value()) {
    for (const std::vector<LayerShape>& layers : table.elastic->levels) {
      table.levels.push_back({cost.cost_share(layers), cost.bytes_per_token(layers), layers});
    }
  } else if (uniform_levels_if_none) {
    table.levels = uniform_levels(cost, config, default_cost_targets(), slice_rules(config, quantised));
  } else {
    table.levels.push_back({1.0, cost.full_bytes(), config.layers});
  }
  return table;
}

}  // namespace elms::inline v0::detail
