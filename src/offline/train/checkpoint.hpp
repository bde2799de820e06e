// A run of training or recovery on disk: a GGUF file of parameters, moments and what is needed to go on
// exactly.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
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

/// A matrix of a run [rows, cols], under the name that it has in the file.
struct RunTensor {
  std::string name;
  std::size_t rows, cols;
  std::span<float> values;
};

/// The tensors of parameters under `prefix` and their own names; values lie one after the other.
void add_tensors(std::string_view prefix, std::span<const ParameterTensor> parameters, std::span<float> values,
                 std::vector<RunTensor>& tensors);
inline void add_tensors(std::string_view prefix, const ParameterLayout& layout, std::span<float> values,
                        std::vector<RunTensor>& tensors) {
  add_tensors(prefix, layout.tensors(), values, tensors);
}

/// "key=value" of everything that decides what the steps of a run are. Runs may only go on with an equal one.
using Recipe = std::vector<std::string>;

/// kInvalidArgument where a run is to resume or to keep checkpoints without a `path`, or would begin anew
/// over one that is there.
Status check_checkpoint_options(const std::string& path, std::uint64_t every, bool resume);

/// Appears under its name when complete. kIoError.
Status write_checkpoint(const std::string& path, const Recipe& recipe, const RunState& state,
                        std::span<const RunTensor> tensors);

/// Fills the tensors. kInvalidArgument names what of the recipe or the model's shape is another;
/// kMalformedFile, kNotFound, kIoError. After an error the tensors may be filled in part.
[[nodiscard]] Result<RunState> read_checkpoint(const std::string& path, const Recipe& recipe,
                                               std::span<const RunTensor> tensors);

}  // namespace elms::inline v0::offline::train
