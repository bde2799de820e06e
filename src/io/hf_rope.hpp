// The rotary embedding that a config.json describes, in the terms of RopeConfig.
#pragma once

#include <cstdint>

#include "elms/model_config.hpp"
#include "elms/status.hpp"
#include "io/json_file.hpp"
#include "io/model_family.hpp"

namespace elms::inline v0::detail {

/// Reads rope_theta with rope_scaling, or rope_parameters (transformers 5): types default, linear and llama3.
/// kUnsupported names any other, and llama3 for a family whose GGUF form has no place for its divisors.
[[nodiscard]] Result<RopeConfig> read_hf_rope(const JsonObject& config, const ModelFamily& family,
                                              std::int32_t head_dim);

}  // namespace elms::inline v0::detail
