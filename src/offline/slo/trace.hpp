// The requests of an SLO evaluation: prompt, targets, arrival.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "elms/offline/slo_eval.hpp"
#include "elms/segment.hpp"
#include "elms/slo.hpp"
#include "elms/slo_planner.hpp"
#include "elms/tokenizer.hpp"

namespace elms::inline v0::offline {

struct TraceRequest {
  std::size_t slo_class = 0;  ///< index into SloEvalOptions::classes
  double arrival_ms = 0.0;    ///< since the trace's beginning
  Slo slo;                    ///< in milliseconds
  std::vector<Segment> prompt;
  PlanRequest plan;       ///< counts of the prompt, shares, confidence; nothing cached
  bool feasible = false;  ///< alone on the machine some strategy is predicted to meet both targets
  std::string answer;     ///< the right choice
  std::int32_t max_tokens = 0;
};

struct Trace {
  std::vector<TraceRequest> requests;  ///< by arrival
  Slo mean_full;
  double mean_prompt_tokens = 0.0;
};

/// The first line of an answer without the blanks around it: what is compared with the right choice.
[[nodiscard]] std::string first_line(std::string_view text);

/// Deterministic but for the planner's profile, which turns shares into milliseconds.
[[nodiscard]] Result<Trace> make_trace(std::span<const SloTask> tasks, const SloEvalOptions& options,
                                       const SLOPlanner& planner, const Tokenizer& tokenizer);

}  // namespace elms::inline v0::offline
