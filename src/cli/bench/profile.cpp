#include "cli/bench/profile.hpp"

#include <algorithm>

#include "cli/bench/op_work.hpp"
#include "cli/bench/runs.hpp"

namespace elms_cli {
namespace {

/// Times of one kind of forward pass, run by run.
class OpSamples {
 public:
  /// `run` is one pass, of which `times` gets the ops.
  template <typename Run>
  elms::Status measure(elms::Session& session, Run&& run) {
    elms::OpTimes times;
    session.set_op_times(&times);
    const BenchClock::time_point start = BenchClock::now();
    const elms::Status status = run();
    const double seconds = seconds_since(start);
    session.set_op_times(nullptr);
    ELMS_RETURN_IF_ERROR(status);
    all_.add(seconds * 1e3);
    other_.add((seconds - times.total()) * 1e3);
    for (std::size_t op = 0; op < elms::kOpCount; ++op) ops_[op].add(times.seconds[op] * 1e3);
    return {};
  }

  [[nodiscard]] OpProfile profile(const elms::Session& session, std::int32_t tokens,
                                  std::int32_t context) const {
    OpProfile profile{tokens, context, all_.median(), {}, {}, other_.median()};
    for (std::size_t op = 0; op < elms::kOpCount; ++op) {
      const OpWork work = work_of(static_cast<elms::Op>(op), session, tokens, context);
      profile.op_ms[op] = ops_[op].median();
      profile.op_rate[op] = (tokens > 1 ? work.operations : work.bytes) / profile.op_ms[op] / 1e6;
    }
    return profile;
  }

 private:
  Samples all_, other_;
  std::array<Samples, elms::kOpCount> ops_;
};

}  // namespace

elms::Result<Profiles> profile_ops(elms::Session& session, const BenchOptions& options, ProgressBar& bar) {
  const int level =
      options.widths.empty()
          ? static_cast<int>(session.model().levels().size()) - 1
          : session.model().level_for_width(*std::max_element(options.widths.begin(), options.widths.end()));
  ELMS_RETURN_IF_ERROR(session.set_level(level));
  const std::int32_t batch = std::min(options.longest_prompt(), elms::SessionOptions().batch_tokens);
  const std::int32_t context = options.profiled_context();
  const auto tokens = bench_tokens(session.model(), std::max(batch, context));
  Profiles profiles;

  OpSamples prefill;
  for (std::int32_t run = 0; run < options.repeats; ++run) {
    session.reset();
    ELMS_RETURN_IF_ERROR(prefill.measure(
        session, [&] { return session.prefill(std::span(tokens).first(static_cast<std::size_t>(batch))); }));
    bar.update({"profile", (run + 1.0) / (options.repeats + 1.0)});
  }
  profiles.prefill = prefill.profile(session, batch, 0);

  session.reset();
  ELMS_RETURN_IF_ERROR(session.prefill(std::span(tokens).first(static_cast<std::size_t>(context))));
  ELMS_RETURN_IF_ERROR(session.decode().error());  // samples only: its forward pass is done
  OpSamples decode;
  for (std::int32_t step = 0; step < kProfiledSteps; ++step) {
    ELMS_RETURN_IF_ERROR(decode.measure(session, [&] { return session.decode().error(); }));
  }
  profiles.decode = decode.profile(session, 1, context);
  return profiles;
}

}  // namespace elms_cli
