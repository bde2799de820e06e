// A training run on disk: a GGUF file of parameters, moments and what is needed to go on exactly.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "elms/offline/training.hpp"
#include "offline/train/parameters.hpp"

namespace elms::inline v0::offline::train {

/// What a run has done so far. What comes next is drawn from seed and step alone, so nothing else needs to be
/// kept.
struct RunState {
  std::uint64_t step = 0;
  double elapsed_seconds = 0.0;
  std::vector<float> train_losses;  ///< [step]
  std::vector<LossPoint> valid;
};

/// The arrays of a run, all [layout.size()].
struct RunArrays {
  std::span<float> params, mean, variance;
};

/// "key=value" of everything that decides what the steps of a run are. Runs may only go on with an equal one.
using Recipe = std::vector<std::string>;

/// Appears under its name when complete. kIoError.
Status write_checkpoint(const std::string& path, const Recipe& recipe, const ParameterLayout& layout,
                        const RunState& state, const RunArrays& arrays);

/// Fills the arrays. kInvalidArgument names what of the recipe or the model's shape is another;
/// kMalformedFile, kNotFound, kIoError. After an error the arrays may be filled in part.
[[nodiscard]] Result<RunState> read_checkpoint(const std::string& path, const Recipe& recipe,
                                               const ParameterLayout& layout, const RunArrays& arrays);

}  // namespace elms::inline v0::offline::train
