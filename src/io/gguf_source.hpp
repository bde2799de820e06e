// A GGUF file as a ModelSource.
#pragma once

#include <memory>
#include <string>

#include "elms/detail/model_source.hpp"

namespace elms::inline v0::detail {

[[nodiscard]] Result<std::unique_ptr<const ModelSource>> open_gguf_source(const std::string& path);

/// The same over a file that is already parsed.
[[nodiscard]] Result<std::unique_ptr<const ModelSource>> open_gguf_source(GgufFile file);

}  // namespace elms::inline v0::detail
