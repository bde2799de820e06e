// The shape of a model from the metadata of its GGUF file.
#pragma once

#include "elms/detail/gguf.hpp"
#include "elms/model_config.hpp"
#include "elms/status.hpp"

namespace elms::inline v0::detail {

/// Checked but for the shapes of the tensors, which TensorTable::bind compares. kMalformedFile names the key,
/// kUnsupported the key or architecture that elms does not run.
[[nodiscard]] Result<ModelConfig> read_gguf_config(const GgufFile& file);

}  // namespace elms::inline v0::detail
