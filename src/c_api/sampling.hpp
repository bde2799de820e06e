// elms_sampling as SamplerOptions, for sessions and services.
#pragma once

#include "c_api/arguments.hpp"
#include "elms/sampler.hpp"

namespace elms::inline v0::detail {

/// Fields of value 0 are no filter and no penalty, whatever C++ defaults to; a null pointer is greedy.
inline Result<SamplerOptions> read_sampling(const elms_sampling* given) {
  ELMS_ASSIGN_OR_RETURN(const elms_sampling asked, read_options(given, "elms_sampling"));
  SamplerOptions options;
  options.temperature = asked.temperature;
  options.top_k = asked.top_k;
  options.top_p = asked.top_p == 0.0f ? 1.0f : asked.top_p;
  options.min_p = asked.min_p;
  options.repetition_penalty = asked.repetition_penalty == 0.0f ? 1.0f : asked.repetition_penalty;
  options.repetition_window = asked.repetition_window;
  options.seed = asked.seed;
  return options;
}

}  // namespace elms::inline v0::detail
