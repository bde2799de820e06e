// How commands show levels.
#pragma once

#include <span>

#include "cli/console.hpp"
#include "elms/level.hpp"

namespace elms_cli {

/// A list with level, cost_share, bytes_per_token and the units of every layer.
Json levels_json(std::span<const elms::Level> levels);

/// A table of the same; units of a layer, or their range where layers differ.
void print_levels(std::span<const elms::Level> levels);

}  // namespace elms_cli
