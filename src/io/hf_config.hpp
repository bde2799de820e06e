// The shape of a model from the config.json of its Hugging Face directory.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "elms/model_config.hpp"
#include "elms/status.hpp"
#include "io/json_file.hpp"
#include "io/tensor_names.hpp"

namespace elms::inline v0::detail {

/// The config of the model that llama.cpp's converter would make of this directory: architecture "llama" (for
/// mistral too), "qwen2" or "qwen3", its rotary embedding in GGUF's order. Checked but for the shapes of the
/// tensors. `has` answers whether the checkpoint holds a tensor, `n_tensors` how many it holds.
/// kMalformedFile and kUnsupported name file and key.
[[nodiscard]] Result<ModelConfig> read_hf_config(
    const JsonFile& file, std::size_t n_tensors,
    const std::function<bool(const TensorSpec&, std::int32_t layer)>& has);

}  // namespace elms::inline v0::detail
