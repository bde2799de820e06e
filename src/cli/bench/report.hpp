// What `elms bench` found, and how it is shown.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/bench/options.hpp"
#include "cli/bench/profile.hpp"
#include "cli/bench/runs.hpp"
#include "cli/machine.hpp"

namespace elms_cli {

struct BenchReport {
  BenchOptions options;
  std::shared_ptr<const elms::ElasticModel> model;
  LimitsMeter limits;
  std::vector<int> cpus = {};  ///< what each thread was bound to; empty where none was asked for
  double open_ms = 0.0, first_token_ms = 0.0, switch_ns = 0.0;
  std::uint64_t peak_rss = 0;          ///< after the first token
  std::uint64_t prefill_peak_rss = 0;  ///< after the longest prompt at full width
  std::uint64_t kv_bytes = 0;
  std::vector<LevelTimes> levels{};
  Profiles profiles{};

  [[nodiscard]] const elms::Level& level(const LevelTimes& times) const {
    return model->levels()[static_cast<std::size_t>(times.level)];
  }
  /// The level that others are compared with: the widest of those that were measured.
  [[nodiscard]] const LevelTimes& widest() const;
  /// Over what the file and the KV cache take: 1 for a program that holds nothing else.
  [[nodiscard]] double peak_rss_ratio() const {
    return static_cast<double>(peak_rss) / static_cast<double>(model->file_bytes() + kv_bytes);
  }
  /// Whether prefill is bound by products of bytes; otherwise by those of floats.
  [[nodiscard]] bool computes_in_bytes() const;
};

/// One phase at one level: medians, and what follows from them.
struct PhaseFigures {
  std::int32_t tokens = 0;
  double tok_s = 0.0;
  double rate =
      0.0;  ///< prefill: 1e9 operations with weights a second; decode: 1e9 bytes of weights read a second
  double share = 0.0;       ///< of the machine's limit, all threads
  double best_share = 0.0;  ///< likewise, of the fastest run and the limit's best sample
  double maddubs_share =
      0.0;  ///< prefill: of the limit of AVX2's maddubs, madd and add; 0 where that is no other
  double time_ratio =
      0.0;  ///< median over the repeats of the time over the widest level's in the same repeat
  double excess =
      0.0;  ///< time_ratio minus the cost share, the widest level being 1: what a narrow width wastes
  double spread = 0.0;
};
PhaseFigures prefill_figures(const BenchReport& report, const LevelTimes& times, std::size_t prompt);
PhaseFigures decode_figures(const BenchReport& report, const LevelTimes& times);
/// Decode: what the level's adapter adds to the time, as a share of the time without; nothing where it has
/// none.
std::optional<double> adapter_added(const LevelTimes& times);

void print_bench_json(const BenchReport& report);
void print_bench_tables(const BenchReport& report);
/// Time of prefill and decode against width, beside the cost share, as SVG into options.plot. kIoError.
elms::Status write_bench_plot(const BenchReport& report);

}  // namespace elms_cli
