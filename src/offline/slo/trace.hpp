// The requests of an SLO evaluation: prompt, targets, arrival.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "elms/offline/slo_eval.hpp"
#include "elms/slo.hpp"
#include "elms/slo_planner.hpp"
#include "elms/tokenizer.hpp"
#include "offline/slo/answer_table.hpp"

namespace elms::inline v0::offline {

struct TraceRequest : Question {
  std::size_t slo_class = 0;  ///< index into SloEvalOptions::classes
  double arrival_ms = 0.0;    ///< since the trace's beginning
  Slo slo;                    ///< in milliseconds
  PlanRequest plan;           ///< counts of the prompt, shares, confidence; nothing cached
  bool feasible = false;      ///< alone on the machine some strategy is predicted to meet both targets
};

struct Trace {
  std::vector<TraceRequest> requests;  ///< by arrival
  Slo mean_full;
  double mean_prompt_tokens = 0.0;
};

/// Deterministic but for the planner's profile, which turns shares into milliseconds.
[[nodiscard]] Result<Trace> make_trace(std::span<const TaskFile> tasks, const SloEvalOptions& options,
                                       const SLOPlanner& planner, const Tokenizer& tokenizer);

}  // namespace elms::inline v0::offline
