// Low-rank updates of smaller models, trained to give the full model's probabilities. The models may be
// levels, or anything else that was cut out of the full one.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "elms/offline/recovery.hpp"
#include "offline/recovery/distiller.hpp"
#include "offline/recovery/lora.hpp"
#include "offline/train/dataset.hpp"

namespace elms::inline v0::offline {

/// What was trained of one model.
struct LevelUpdate {
  LoraLayout layout;
  std::vector<float> values;
};

struct RecoveredUpdates {
  std::vector<LevelUpdate> updates;  ///< one for each pupil
  std::uint64_t n_steps = 0;
};

/// Who teaches, with what. The references outlive it.
struct LoraLesson {
  const RecoveryOptions& options;
  const train::ParameterLayout& layout;  ///< of the full model
  std::span<const float> params;
  const train::Dataset& dataset;
  std::shared_ptr<ThreadPool> pool;
};

/// A model that learns.
struct LoraPupil {
  const train::ParameterLayout* layout;
  std::function<void(std::span<float>)> fill;  ///< writes its parameters [layout->size()] as they were cut
  std::uint64_t seed = 0;
};

[[nodiscard]] LoraShape lora_shape(const RecoveryOptions& options);

/// Every batch teaches all pupils. kCancelled; kInvalidArgument when a loss stops being a number;
/// kOutOfMemory.
[[nodiscard]] Result<RecoveredUpdates> distil_updates(const LoraLesson& lesson,
                                                      std::span<const LoraPupil> pupils,
                                                      Distiller& distiller);

}  // namespace elms::inline v0::offline
