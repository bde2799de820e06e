// What a training run begins with: a model's shape, its parameters, its vocabulary.
#pragma once

#include <memory>
#include <string>

#include "elms/detail/buffer.hpp"
#include "elms/detail/gguf.hpp"
#include "elms/offline/training.hpp"
#include "elms/tokenizer.hpp"
#include "offline/train/parameters.hpp"

namespace elms::inline v0::offline::train {

struct InitialModel {
  ModelConfig config;
  detail::Buffer<float> params;  ///< of ParameterLayout(config)
  std::shared_ptr<const Tokenizer> tokenizer;
  detail::GgufWriter metadata;  ///< of the file to write: all its keys are set
};

/// As options.init_model, or options.vocabulary with options.shape, say.
[[nodiscard]] Result<InitialModel> open_initial_model(const TrainingOptions& options);

/// Matrices are normal with deviation 0.02, those that write to the residual stream by 1 / sqrt(2 n_layers)
/// smaller (GPT-2), norms 1, biases 0. Depends on layout and seed only.
void draw_parameters(const ParameterLayout& layout, std::uint64_t seed, std::span<float> params);

}  // namespace elms::inline v0::offline::train
