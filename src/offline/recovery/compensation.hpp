// Biases in closed form: block after block, the mean of a level's residual stream becomes what it would be
// without cuts.
#pragma once

#include <span>

#include "elms/offline/recovery.hpp"
#include "elms/thread_pool.hpp"
#include "offline/train/dataset.hpp"
#include "offline/train/decoder.hpp"

namespace elms::inline v0::offline {

/// The model and the tokens that biases are computed from. The decoder was made for the whole model.
struct CompensationInput {
  ThreadPool& pool;
  train::TrainDecoder<float>& decoder;
  const train::ParameterLayout& whole_layout;
  std::span<const float> whole;
  const train::TokenBatch& batch;  ///< of the decoder's shape
};

struct CompensationTargets {
  bool attention = true, ffn = true;
  BiasReference reference = BiasReference::kFullBlock;
};

/// Adds to the biases of `level`, whose layout has recovery biases. Every block sees its predecessors' new
/// biases.
void compensate(const CompensationInput& input, const CompensationTargets& targets,
                const train::ParameterLayout& level_layout, std::span<float> level);

}  // namespace elms::inline v0::offline
