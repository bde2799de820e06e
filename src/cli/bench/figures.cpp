// From times to what they say.
#include <algorithm>

#include "cli/bench/report.hpp"

namespace elms_cli {
namespace {

/// Multiplications and additions with weights to prefill n tokens; attention itself is left out. Only the
/// last token needs the output head.
double prefill_operations(const elms::ModelConfig& config, const elms::Level& level, std::int32_t n_tokens) {
  double weights = 0.0;
  for (const elms::LayerShape& layer : level.layers) {
    weights += 2.0 * config.head_dim * (layer.q_heads + layer.kv_heads) + 3.0 * layer.ff;
  }
  return 2.0 * config.d_model * (weights * n_tokens + config.n_vocab);
}

double median_ratio(const Samples& times, const Samples& base) {
  Samples ratios;
  for (std::size_t i = 0; i < times.values.size(); ++i) ratios.add(times.values[i] / base.values[i]);
  return ratios.median();
}

/// `work` operations or bytes, bound by `limit`.
PhaseFigures phase_figures(const BenchReport& report, const LevelTimes& times, std::int32_t tokens,
                           double work, const Limit& limit, const Samples& seconds,
                           const Samples& widest_seconds) {
  PhaseFigures figures;
  figures.tokens = tokens;
  figures.tok_s = tokens / seconds.median();
  figures.rate = work / seconds.median() / 1e9;
  figures.share = figures.rate / limit.all.median();
  figures.best_share = work / seconds.least() / 1e9 / limit.all.greatest();
  figures.time_ratio = median_ratio(seconds, widest_seconds);
  figures.excess =
      figures.time_ratio - report.level(times).cost_share / report.level(report.widest()).cost_share;
  figures.spread = seconds.spread();
  return figures;
}

}  // namespace

const LevelTimes& BenchReport::widest() const {
  return *std::max_element(levels.begin(), levels.end(),
                           [](const LevelTimes& a, const LevelTimes& b) { return a.level < b.level; });
}

bool BenchReport::computes_in_bytes() const {
  return model->weights().layers.front().gate.kernel->prepare_lhs != nullptr;
}

PhaseFigures prefill_figures(const BenchReport& report, const LevelTimes& times, std::size_t prompt) {
  const std::int32_t tokens = report.options.prefill_tokens[prompt];
  const double work = prefill_operations(report.model->config(), report.level(times), tokens);
  const ArithmeticLimit& best = report.limits.best();
  const bool bytes = report.computes_in_bytes();
  PhaseFigures result = phase_figures(report, times, tokens, work, bytes ? best.int8 : best.f32,
                                      times.prefill[prompt], report.widest().prefill[prompt]);
  if (const ArithmeticLimit* maddubs = report.limits.maddubs(); bytes && maddubs != nullptr) {
    result.maddubs_share = result.rate / maddubs->int8.all.median();
  }
  return result;
}

PhaseFigures decode_figures(const BenchReport& report, const LevelTimes& times) {
  const std::int32_t tokens = report.options.decode_tokens;
  const double work = static_cast<double>(report.level(times).bytes_per_token) * tokens;
  return phase_figures(report, times, tokens, work, report.limits.read(), times.decode,
                       report.widest().decode);
}

std::optional<double> adapter_added(const LevelTimes& times) {
  if (times.decode_unadapted.values.empty()) return std::nullopt;
  return median_ratio(times.decode, times.decode_unadapted) - 1.0;
}

}  // namespace elms_cli
