#include "cli/bench/report.hpp"

namespace elms_cli {
namespace {

std::string percent(double share, int digits = 0) {
  return fixed(100.0 * share, digits) + "%";
}

void print_limit(const char* name, const Limit& limit, const char* unit, int digits) {
  std::printf("  %-26s %s %s on all threads (spread %s), %s on one\n", name,
              fixed(limit.all.median(), digits).c_str(), unit, percent(limit.all.spread()).c_str(),
              fixed(limit.one.median(), digits).c_str());
}

void print_machine(const BenchReport& report) {
  const LimitsMeter& limits = report.limits;
  const std::string isa = limits.best().loops->isa;
  std::printf("machine limits, medians of %zu samples between the runs:\n", limits.read().all.values.size());
  print_limit("read", limits.read(), "GB/s", 1);
  print_limit(("int8, " + isa).c_str(), limits.best().int8, "GOPS", 0);
  if (const ArithmeticLimit* maddubs = limits.maddubs(); maddubs != nullptr) {
    print_limit("int8, avx2 maddubs", maddubs->int8, "GOPS", 0);
  }
  print_limit(("f32, " + isa).c_str(), limits.best().f32, "GFLOPS", 0);
}

/// A table of one phase: a row for each level.
template <typename Figures>
void print_phase(const BenchReport& report, const char* rate, bool maddubs, Figures&& figures_of) {
  std::vector<std::string> header = {"level", "cost", "tok/s", rate, "of limit", "best"};
  if (maddubs) header.push_back("of maddubs");
  for (const char* column : {"time", "excess", "spread"}) header.push_back(column);
  Table table(header);
  for (const LevelTimes& times : report.levels) {
    const PhaseFigures figures = figures_of(times);
    std::vector<std::string> row = {
        std::to_string(times.level), fixed(report.level(times).cost_share, 3),
        fixed(figures.tok_s, 1),     fixed(figures.rate, figures.rate < 100.0 ? 2 : 1),
        percent(figures.share),      percent(figures.best_share)};
    if (maddubs) row.push_back(percent(figures.maddubs_share));
    row.push_back(fixed(figures.time_ratio, 3));
    row.push_back(fixed(figures.excess, 3));
    row.push_back(percent(figures.spread));
    table.add(std::move(row));
  }
  table.print();
}

void print_profile(const OpProfile& profile) {
  Table table({"op", "ms", "share", profile.tokens > 1 ? "GOPS" : "GB/s"});
  for (std::size_t i = 0; i < elms::kOpCount; ++i) {
    table.add({elms::op_name(static_cast<elms::Op>(i)), fixed(profile.op_ms[i], 3),
               percent(profile.op_ms[i] / profile.ms, 1),
               profile.op_rate[i] > 0.0 ? fixed(profile.op_rate[i], 1) : ""});
  }
  table.add({"other", fixed(profile.other_ms, 3), percent(profile.other_ms / profile.ms, 1), ""});
  table.add({"all", fixed(profile.ms, 3), "", ""});
  table.print();
}

}  // namespace

void print_bench_tables(const BenchReport& report) {
  const elms::ElasticModel& model = *report.model;
  std::printf("%s: %s kernels, %zu threads\n", report.options.model.c_str(), model.isa(),
              model.pool()->n_threads());
  if (!report.cpus.empty()) {
    std::printf("threads bound to CPUs");
    for (const int cpu : report.cpus) std::printf(" %d", cpu);
    std::printf("\n");
  }
  std::printf("opened in %.0f ms, first token after %.0f ms; switching the width: %.0f ns\n", report.open_ms,
              report.first_token_ms, report.switch_ns);
  std::printf(
      "memory after the first token: %s at most, %s times file (%s) and KV cache (%s); packed weights %s\n",
      readable_bytes(report.peak_rss).c_str(), fixed(report.peak_rss_ratio(), 2).c_str(),
      readable_bytes(model.file_bytes()).c_str(), readable_bytes(report.kv_bytes).c_str(),
      readable_bytes(model.packed_bytes()).c_str());
  print_machine(report);
  std::printf(
      "\nMedians of %d runs. best: the fastest run as a share of the limit's best sample;\n"
      "time: over that of the widest level; excess: that minus the cost share.\n",
      report.options.repeats);
  const bool bytes = report.computes_in_bytes();
  for (std::size_t i = 0; i < report.options.prefill_tokens.size(); ++i) {
    std::printf("\nprefill of %d tokens; limit: %s\n", report.options.prefill_tokens[i],
                bytes ? "int8" : "f32");
    print_phase(report, "GOPS", bytes && report.limits.maddubs() != nullptr,
                [&](const LevelTimes& times) { return prefill_figures(report, times, i); });
  }
  std::printf("\ndecode of %d tokens; limit: read\n", report.options.decode_tokens);
  print_phase(report, "GB/s", false, [&](const LevelTimes& times) { return decode_figures(report, times); });
  for (const LevelTimes& times : report.levels) {
    if (const auto added = adapter_added(times); added.has_value()) {
      std::printf("level %d: its adapter adds %s to the time of decode\n", times.level,
                  percent(*added, 1).c_str());
    }
  }
  std::printf("\nwhere a prefill of %d tokens at full width spends its time\n",
              report.profiles.prefill.tokens);
  print_profile(report.profiles.prefill);
  std::printf("\nwhere a decode step at full width spends its time, %d tokens in the cache\n",
              report.profiles.decode.context);
  print_profile(report.profiles.decode);
}

}  // namespace elms_cli
