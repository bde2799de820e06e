// A dense model in memory, in f32, and the smaller dense models that can be cut out of it.
#pragma once

#include <cstdint>
#include <span>

#include "elms/detail/buffer.hpp"
#include "elms/detail/model_source.hpp"
#include "offline/train/parameters.hpp"
#include "offline/unit_order.hpp"

namespace elms::inline v0::offline {

struct MemoryModel {
  train::ParameterLayout layout;
  detail::Buffer<float> params;  ///< [layout.size()]

  [[nodiscard]] const ModelConfig& config() const noexcept { return layout.config(); }
};

/// All weights of a checkpoint as floats. What load_parameters fails with.
[[nodiscard]] Result<MemoryModel> load_memory_model(const detail::ModelSource& source);

/// The same model with its units in another order.
[[nodiscard]] Result<MemoryModel> with_order(const MemoryModel& model, const UnitOrder& order);

/// The first units of every layer; legal slices of the model's layers.
[[nodiscard]] Result<MemoryModel> with_slices(const MemoryModel& model, std::span<const LayerShape> slices);

/// Only the layers `kept`, ascending indices, at full width.
[[nodiscard]] Result<MemoryModel> with_layers_kept(const MemoryModel& model,
                                                   std::span<const std::int32_t> kept);

}  // namespace elms::inline v0::offline
