#include "cli/bench/profile.hpp"

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

  [[nodiscard]] OpProfile profile(std::int32_t tokens, std::int32_t context) const {
    OpProfile profile{tokens, context, all_.median(), {}, other_.median()};
    for (std::size_t op = 0; op < elms::kOpCount; ++op) profile.op_ms[op] = ops_[op].median();
    return profile;
  }

 private:
  Samples all_, other_;
  std::array<Samples, elms::kOpCount> ops_;
};

}  // namespace

elms::Result<Profiles> profile_ops(elms::Session& session, const BenchOptions& options, ProgressBar& bar) {
  ELMS_RETURN_IF_ERROR(session.set_level(static_cast<int>(session.model().levels().size()) - 1));
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
  profiles.prefill = prefill.profile(batch, 0);

  session.reset();
  ELMS_RETURN_IF_ERROR(session.prefill(std::span(tokens).first(static_cast<std::size_t>(context))));
  ELMS_RETURN_IF_ERROR(session.decode().error());  // samples only: its forward pass is done
  OpSamples decode;
  for (std::int32_t step = 0; step < kProfiledSteps; ++step) {
    ELMS_RETURN_IF_ERROR(decode.measure(session, [&] { return session.decode().error(); }));
  }
  profiles.decode = decode.profile(1, context);
  return profiles;
}

OpWork work_of(elms::Op op, const elms::ElasticModel& model) {
  OpWork work;
  const auto add = [&](const elms::detail::PackedMatrix& matrix) {
    work.operations += 2.0 * matrix.rows * matrix.cols;
    work.bytes += static_cast<double>(matrix.n_panels()) * static_cast<double>(matrix.panel_stride_bytes);
  };
  if (op == elms::Op::kHead) add(model.weights().head);
  for (const elms::detail::LayerWeights& layer : model.weights().layers) {
    if (op == elms::Op::kQkv) {
      add(layer.wq);
      add(layer.wk);
      add(layer.wv);
    } else if (op == elms::Op::kWo) {
      add(layer.wo);
    } else if (op == elms::Op::kGateUp) {
      add(layer.gate);
      add(layer.up);
    } else if (op == elms::Op::kDown) {
      add(layer.down);
    }
  }
  return work;
}

}  // namespace elms_cli
