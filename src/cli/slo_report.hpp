// How `elms eval slo` shows its results.
#pragma once

#include <string>

#include "cli/console.hpp"
#include "elms/offline/slo_eval.hpp"
#include "elms/status.hpp"

namespace elms_cli {

/// {strategies: [{name, per_class: [{ttft_target, tpot_target, n, accuracy, ...}], accuracy, attained, ...}],
/// ...}
Json slo_json(const elms::offline::SloEvalResult& result);
void print_slo(const elms::offline::SloEvalResult& result);
/// SVG: right and in time, by class. kIoError.
elms::Status write_slo_plot(const elms::offline::SloEvalResult& result, const std::string& path);
/// One page with its plots inside. kIoError.
elms::Status write_slo_html(const elms::offline::SloEvalResult& result, const std::string& title,
                            const std::string& path);

}  // namespace elms_cli
