// From what became of requests to figures.
#pragma once

#include <span>

#include "offline/slo/replay.hpp"

namespace elms::inline v0::offline {

/// Scores of all classes and their sum, and means over all requests; name and memory are the contender's.
[[nodiscard]] SloStrategyResult score_outcomes(const Trace& trace, std::size_t n_classes,
                                               const Contender& contender, std::span<const Outcome> outcomes);

}  // namespace elms::inline v0::offline
