// A Hugging Face model directory as a ModelSource.
#pragma once

#include <memory>
#include <string>

#include "elms/detail/model_source.hpp"

namespace elms::inline v0::detail {

/// Reads config.json and the safetensors of a directory. Presents what llama.cpp's converter would write:
/// GGUF names, q and k of llama and mistral interleaved, llama3 scaling as rope_freqs.weight.
[[nodiscard]] Result<std::unique_ptr<const ModelSource>> open_hf_source(const std::string& directory);

}  // namespace elms::inline v0::detail
