// The ways to recover levels, over parameters in memory.
//
//   lora               an update of a level, and its gradient
//   distiller          the full model as teacher
//   lora_distillation  the loop that makes updates, of levels or of any smaller model
//   compensation       biases in closed form
//   methods            the three ways, for levels
//   recovery_data      what they learn from
//   adapter_file       updates to files
//   recover            files in, files out
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "elms/detail/buffer.hpp"
#include "elms/level.hpp"
#include "elms/offline/recovery.hpp"
#include "offline/recovery/distiller.hpp"
#include "offline/recovery/lora_distillation.hpp"
#include "offline/train/dataset.hpp"
#include "offline/train/parameters.hpp"
#include "offline/train/units.hpp"

namespace elms::inline v0::offline {

/// A level as a dense model of its own, with recovery biases.
struct LevelModel {
  int level;
  train::UnitSelection selection;
  train::ParameterLayout layout;

  LevelModel(int index, const ModelConfig& config, const std::vector<LayerShape>& slices)
      : level(index),
        selection(train::first_units(config, slices)),
        layout(train::with_layers(config, slices), /*recovery_biases=*/true) {}
};

/// What all methods read. The references outlive it.
struct RecoveryTask {
  const RecoveryOptions& options;
  const train::ParameterLayout& layout;  ///< of the whole model
  std::span<const float> params;
  const std::vector<LevelModel>& levels;  ///< to be recovered, ascending
  const train::Dataset& dataset;
  std::shared_ptr<ThreadPool> pool;
};

struct RecoveredWeights {
  detail::Buffer<float> params;  ///< of the whole model
  std::uint64_t n_steps = 0;
};

/// kCancelled when the callback stopped the work; kInvalidArgument when a loss stops being a number.
[[nodiscard]] Result<RecoveredUpdates> recover_biases(const RecoveryTask& task);
[[nodiscard]] Result<RecoveredUpdates> recover_lora(const RecoveryTask& task, Distiller& distiller);
[[nodiscard]] Result<RecoveredWeights> recover_nested(const RecoveryTask& task, Distiller& distiller);

/// Parameters of a level out of those of the whole model; biases that only the level has are zeros.
void cut_level(const RecoveryTask& task, std::span<const float> whole, const LevelModel& level,
               std::span<float> params);

struct Distances {
  std::vector<StudentLoss> levels;  ///< of each of the task's levels, to the model as it was given
  std::size_t n_tokens = 0, n_targets = 0;
};
/// Over held-out rows, or the first training rows where there are none. `updates` may be null.
[[nodiscard]] Result<Distances> measure_distances(const RecoveryTask& task, Distiller& distiller,
                                                  std::span<const float> whole,
                                                  const std::vector<LevelUpdate>* updates);

}  // namespace elms::inline v0::offline
