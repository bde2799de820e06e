// Levels and orders over parameters in memory: a selection of units makes a smaller, dense model, whose
// gradients can be added back to those of the whole one.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "elms/level.hpp"
#include "offline/train/parameters.hpp"
#include "offline/unit_order.hpp"

namespace elms::inline v0::offline::train {

/// The units of every layer that a model keeps, in its order: indices of the whole model's units.
struct UnitSelection {
  std::vector<std::vector<std::int32_t>> q_heads, kv_heads, ffn_units;  ///< [n_layers][kept]
};

/// The first units of every layer in the whole model's own order: with grouped queries the first ones of
/// every group.
[[nodiscard]] UnitSelection first_units(const ModelConfig& config, std::span<const LayerShape> slices);
/// The same after the units were ordered.
[[nodiscard]] UnitSelection first_units(const ModelConfig& config, std::span<const LayerShape> slices,
                                        const UnitOrder& order);

/// The config of a model with these shapes of layers.
[[nodiscard]] ModelConfig with_layers(const ModelConfig& config, std::span<const LayerShape> slices);

/// part [part_layout.size()] = the selected units' parameters and everything that belongs to no unit. The
/// layouts are those of the whole model and of with_layers().
void gather_units(const ParameterLayout& whole_layout, std::span<const float> whole,
                  const UnitSelection& selection, const ParameterLayout& part_layout, std::span<float> part);
/// The reverse, adding: for gradients.
void scatter_add_units(const ParameterLayout& part_layout, std::span<const float> part,
                       const UnitSelection& selection, const ParameterLayout& whole_layout,
                       std::span<float> whole);

}  // namespace elms::inline v0::offline::train
