// How `elms eval compare` shows its results.
#pragma once

#include <string>
#include <vector>

#include "cli/console.hpp"
#include "cli/plot.hpp"
#include "elms/offline/compare.hpp"
#include "elms/status.hpp"

namespace elms_cli {

using CompareResults = std::vector<elms::offline::CompareResult>;

/// A list of {recipe, recovery, target, cost_share, ppl, kl, repeated_4grams, nll_under_full, accuracy:
/// {task: value}}.
Json compare_json(const CompareResults& results);
void print_compare(const CompareResults& results);
[[nodiscard]] Plot perplexity_plot(const CompareResults& results, const std::string& model);
/// One page with its plots inside. kIoError.
elms::Status write_compare_html(const CompareResults& results, const std::string& model,
                                const std::string& path);

}  // namespace elms_cli
