// The order in which units are kept: most important first.
#pragma once

#include <cstdint>
#include <vector>

#include "elms/model_config.hpp"
#include "elms/offline/importance.hpp"

namespace elms::inline v0::offline {

/// Original indices in the new order. Query heads stay inside their group (head h uses KV head h / group), so
/// that every level keeps the same number of heads of each group.
struct UnitOrder {
  std::vector<std::vector<std::int32_t>> heads;      ///< [n_layers][q_heads]
  std::vector<std::vector<std::int32_t>> ffn_units;  ///< [n_layers][ff]
};

/// Ties keep the file's order. `order_heads` false leaves heads where they are (they cannot be cut).
[[nodiscard]] UnitOrder order_units(const ModelConfig& config, const Importance& importance,
                                    bool order_heads);

/// The scores in the new order.
[[nodiscard]] Importance reordered(const Importance& importance, const UnitOrder& order);

}  // namespace elms::inline v0::offline
