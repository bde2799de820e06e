// Parameters from a checkpoint, and into one.
#pragma once

#include <span>
#include <string>

#include "elms/detail/buffer.hpp"
#include "elms/detail/gguf.hpp"
#include "elms/detail/model_source.hpp"
#include "offline/train/parameters.hpp"

namespace elms::inline v0::offline::train {

/// All parameters of `layout` in f32; tensors that the checkpoint lacks (recovery biases) are zeros.
/// kMalformedFile where a tensor's shape is another one.
[[nodiscard]] Result<detail::Buffer<float>> load_parameters(const detail::ModelSource& source,
                                                            const ParameterLayout& layout);

/// general.* and <architecture>.* keys of a model whose layers are alike.
void write_config(detail::GgufWriter& writer, const ModelConfig& config, std::string_view name, DType type);

/// Writes parameters into a GGUF at `path`: matrices as `type` (F16 where rows are no whole number of its
/// blocks), vectors and RoPE divisors as F32. Other metadata was set in `writer` before. Tensors without a
/// GGUF name of their own (biases of down projections) are kInvalidArgument.
Status write_parameters(detail::GgufWriter& writer, const ParameterLayout& layout,
                        std::span<const float> params, DType type, const std::string& path);

}  // namespace elms::inline v0::offline::train
