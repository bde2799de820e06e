// How commands show levels.
#pragma once

#include <span>

#include "cli/console.hpp"
#include "elms/level.hpp"
#include "elms/offline/recovery.hpp"

namespace elms_cli {

/// A list with level, cost_share, bytes_per_token and the units of every layer.
Json levels_json(std::span<const elms::Level> levels);

/// A table of the same; units of a layer, or their range where layers differ.
void print_levels(std::span<const elms::Level> levels);

/// Steps, tokens and what every level came to.
Json recovery_json(const elms::offline::RecoveryReport& report);

/// A table of the same.
void print_recovery(const elms::offline::RecoveryReport& report);

}  // namespace elms_cli
