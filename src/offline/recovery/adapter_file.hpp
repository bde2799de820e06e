// Files of level adapters, as detail/adapter.hpp reads them.
#pragma once

#include <span>
#include <string>

#include "elms/status.hpp"
#include "elms/types.hpp"
#include "offline/recovery/lora.hpp"

namespace elms::inline v0::offline {

/// "model.gguf" -> "model.level3.lora.gguf", without folder.
[[nodiscard]] std::string adapter_name(const std::string& model_path, std::size_t level);

/// Writes an update of a level of `config`; matrices as `type` (F32 or F16). Returns the size of what the
/// tensors hold.
[[nodiscard]] Result<std::uint64_t> write_adapter(const ModelConfig& config, const LoraLayout& layout,
                                                  std::span<const float> update, DType type,
                                                  const std::string& path);

}  // namespace elms::inline v0::offline
