// The JSON header of a safetensors file.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "elms/status.hpp"
#include "io/safetensors.hpp"

namespace elms::inline v0::detail {

/// The entries in the order of the header; `__metadata__` is checked and left out. kMalformedFile names the
/// file and, where it can, the tensor. Offsets and sizes are not yet checked.
[[nodiscard]] Result<std::vector<SafetensorsFile::Entry>> parse_safetensors_header(std::string_view json,
                                                                                   const std::string& file);

}  // namespace elms::inline v0::detail
