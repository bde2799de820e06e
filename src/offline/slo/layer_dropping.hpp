// Dense models without some of the layers of another one.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "elms/status.hpp"
#include "elms/thread_pool.hpp"

namespace elms::inline v0::offline {

/// Writes the layers `kept` (ascending indices) of a GGUF file as a plain dense model of the same
/// architecture; kUnsupported where layers differ in shape.
[[nodiscard]] Status write_kept_layers(const std::string& input, std::span<const std::int32_t> kept,
                                       const std::string& output, ThreadPool& pool);

/// Layers in the order in which they go: each time the one without which `text` loses least. All but one.
[[nodiscard]] Result<std::vector<std::int32_t>> layer_removal_order(const std::string& input,
                                                                    std::string_view text, ThreadPool& pool);

}  // namespace elms::inline v0::offline
