#include "cli/bench/runs.hpp"

#include <utility>

#include "cli/arguments.hpp"

namespace elms_cli {
namespace {

/// Runs a session the same way again and again.
class SessionTimer {
 public:
  SessionTimer(elms::Session& session, const BenchOptions& options)
      : session_(session),
        decode_tokens_(options.decode_tokens),
        tokens_(bench_tokens(session.model(), options.longest_prompt())) {}

  elms::Result<double> prefill(std::int32_t n_tokens) {
    session_.reset();
    const BenchClock::time_point start = BenchClock::now();
    ELMS_RETURN_IF_ERROR(session_.prefill(std::span(tokens_).first(static_cast<std::size_t>(n_tokens))));
    return seconds_since(start);
  }

  /// From an almost empty context, as llama.cpp's benches do.
  elms::Result<double> decode() {
    session_.reset();
    ELMS_RETURN_IF_ERROR(session_.prefill(std::span(tokens_).first(1)));
    ELMS_RETURN_IF_ERROR(session_.decode().error());  // samples only: its forward pass is done
    const BenchClock::time_point start = BenchClock::now();
    for (std::int32_t i = 0; i < decode_tokens_; ++i) ELMS_RETURN_IF_ERROR(session_.decode().error());
    return seconds_since(start);
  }

 private:
  elms::Session& session_;
  std::int32_t decode_tokens_;
  std::vector<elms::TokenId> tokens_;
};

std::vector<LevelTimes> levels_to_time(const elms::ElasticModel& model, const BenchOptions& options) {
  const std::vector<Samples> prefill(options.prefill_tokens.size());
  std::vector<LevelTimes> levels;
  for (const double width : options.widths)
    levels.push_back({width, model.level_for_width(width), prefill, {}, {}});
  if (!options.widths.empty()) return levels;
  for (std::size_t i = 0; i < model.levels().size(); ++i) {
    levels.push_back({model.levels()[i].cost_share, static_cast<int>(i), prefill, {}, {}});
  }
  return levels;
}

}  // namespace

double seconds_since(BenchClock::time_point start) {
  return std::chrono::duration<double>(BenchClock::now() - start).count();
}

std::vector<elms::TokenId> bench_tokens(const elms::ElasticModel& model, std::int32_t n) {
  const auto n_vocab = static_cast<std::uint64_t>(model.config().n_vocab);
  std::vector<elms::TokenId> tokens;
  for (std::uint64_t i = 0; i < static_cast<std::uint64_t>(n); ++i) {
    tokens.push_back(static_cast<elms::TokenId>((i * 2654435761u + 7) % n_vocab));
  }
  return tokens;
}

elms::Result<Opened> open_to_first_token(const BenchOptions& options) {
  const BenchClock::time_point start = BenchClock::now();
  ELMS_ASSIGN_OR_RETURN(auto model,
                        open_model(options.model, options.threads, /*uniform_levels_if_none=*/true));
  const double open_ms = seconds_since(start) * 1e3;
  std::vector<int> cpus;
  if (options.pin) {
    ELMS_ASSIGN_OR_RETURN(cpus, model->pool()->pin_threads());
  }
  elms::SessionOptions session_options;
  session_options.context_tokens = std::max(
      {options.longest_prompt(), options.decode_tokens + 1, options.profiled_context() + kProfiledSteps});
  session_options.kv_type = options.kv;
  ELMS_ASSIGN_OR_RETURN(elms::Session session, elms::Session::create(model, session_options));
  ELMS_RETURN_IF_ERROR(session.prefill(bench_tokens(*model, 1)));
  ELMS_RETURN_IF_ERROR(session.decode().error());
  const double first_token_ms = seconds_since(start) * 1e3;
  return Opened{std::move(model), std::move(session), open_ms,
                first_token_ms,   peak_rss_bytes(),   std::move(cpus)};
}

elms::Result<std::vector<LevelTimes>> time_levels(elms::Session& session, const BenchOptions& options,
                                                  LimitsMeter& meter, ProgressBar& bar) {
  const elms::ElasticModel& model = session.model();
  std::vector<LevelTimes> levels = levels_to_time(model, options);
  SessionTimer timer(session, options);
  double done = 0.0;
  const double total = static_cast<double>(options.repeats) * static_cast<double>(levels.size());
  meter.sample();
  for (std::int32_t run = 0; run < options.repeats; ++run) {
    for (LevelTimes& level : levels) {
      ELMS_RETURN_IF_ERROR(session.set_level(level.level));
      for (std::size_t i = 0; i < options.prefill_tokens.size(); ++i) {
        ELMS_ASSIGN_OR_RETURN(const double seconds, timer.prefill(options.prefill_tokens[i]));
        level.prefill[i].add(seconds);
        meter.sample_if_due();
      }
      ELMS_ASSIGN_OR_RETURN(const double seconds, timer.decode());
      level.decode.add(seconds);
      if (model.adapter(level.level) != nullptr) {
        // The same slices, but not as a level: without its adapter.
        ELMS_RETURN_IF_ERROR(
            session.set_slices(model.levels()[static_cast<std::size_t>(level.level)].layers));
        ELMS_ASSIGN_OR_RETURN(const double unadapted, timer.decode());
        level.decode_unadapted.add(unadapted);
      }
      meter.sample_if_due();
      bar.update({"bench", ++done / total});
    }
  }
  meter.sample();
  return levels;
}

double switch_nanoseconds(elms::Session& session) {
  constexpr int kSwitches = 20001;
  const double widths[] = {session.model().levels().front().cost_share, 1.0};
  Samples samples;
  samples.values.reserve(kSwitches);
  for (int i = 0; i < kSwitches; ++i) {
    const BenchClock::time_point start = BenchClock::now();
    session.set_width(widths[i % 2]);
    samples.add(seconds_since(start) * 1e9);
  }
  return samples.median();
}

}  // namespace elms_cli
