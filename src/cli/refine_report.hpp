// How a refined prompt is shown: as text, as a diff in colours, as JSON.
#pragma once

#include <string_view>

#include "cli/console.hpp"
#include "elms/prompt_refiner.hpp"

namespace elms_cli {

/// `source` is the prompt's text.
Json refined_json(const elms::RefinedPrompt& refined, bool with_words);
/// The source with what was dropped struck out in red; protected words in bold.
void print_diff(std::string_view source, const elms::RefinedPrompt& refined);
/// A row for each width, a column for each keep ratio.
void print_grid(const elms::StrategyQualities& grid);
Json grid_json(const elms::StrategyQualities& grid);

}  // namespace elms_cli
