// The safetensors files of a Hugging Face model directory, one or many, as one set of tensors.
#pragma once

#include <string>
#include <vector>

#include "elms/status.hpp"
#include "io/safetensors.hpp"

namespace elms::inline v0::detail {

/// Opens model.safetensors, or else every file that model.safetensors.index.json names, and checks that index
/// and files hold the same tensors, each once. An index can only name files of its own directory. kNotFound
/// when the directory has neither, kUnsupported when it has weights of another kind only.
[[nodiscard]] Result<std::vector<SafetensorsFile>> open_hf_shards(const std::string& directory);

}  // namespace elms::inline v0::detail
