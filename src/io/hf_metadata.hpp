// GGUF metadata for a checkpoint that came without any.
#pragma once

#include <string>

#include "elms/detail/gguf.hpp"
#include "elms/model_config.hpp"
#include "elms/status.hpp"

namespace elms::inline v0::detail {

/// Writes general.* and <architecture>.* of a config whose layers are alike.
void write_config_metadata(const ModelConfig& config, GgufWriter& writer);

/// The same, and tokenizer.ggml.* from the directory's tokenizer.json where there is one.
Status write_hf_metadata(const std::string& directory, const ModelConfig& config, GgufWriter& writer);

}  // namespace elms::inline v0::detail
