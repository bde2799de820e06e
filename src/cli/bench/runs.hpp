// The timed runs of `elms bench`: opening, prefill and decode at each level, switching the width.
#pragma once

#include <chrono>
#include <memory>
#include <span>
#include <vector>

#include "cli/bench/options.hpp"
#include "cli/console.hpp"
#include "cli/machine.hpp"
#include "cli/samples.hpp"
#include "elms/session.hpp"

namespace elms_cli {

using BenchClock = std::chrono::steady_clock;
double seconds_since(BenchClock::time_point start);

/// n tokens spread over the vocabulary, so that rows of the embedding are in no cache.
std::vector<elms::TokenId> bench_tokens(const elms::ElasticModel& model, std::int32_t n);

/// From the file to the first token that it generates.
struct Opened {
  std::shared_ptr<const elms::ElasticModel> model;
  elms::Session session;
  double open_ms = 0.0;         ///< ElasticModel::open
  double first_token_ms = 0.0;  ///< the same, a session, and a prompt of one token, which reads every weight
  std::uint64_t peak_rss = 0;   ///< then
  std::vector<int> cpus = {};   ///< what each thread was bound to; empty where none was asked for
};
elms::Result<Opened> open_to_first_token(const BenchOptions& options);

/// Seconds, a value for each repeat.
struct LevelTimes {
  double width = 1.0;
  int level = 0;
  std::vector<Samples> prefill;  ///< one for each prompt length
  Samples decode;                ///< of options.decode_tokens
  Samples decode_unadapted;      ///< likewise without the level's adapter; empty where it has none
};

/// Repeats go round all levels in turn, and limits are measured between them, so that a slow moment of the
/// machine does not fall on one of them.
elms::Result<std::vector<LevelTimes>> time_levels(elms::Session& session, const BenchOptions& options,
                                                  LimitsMeter& meter, ProgressBar& bar);

/// Median time of Session::set_width, the narrowest and the widest level in turn, reading the clock included.
double switch_nanoseconds(elms::Session& session);

}  // namespace elms_cli
