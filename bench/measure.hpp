// Timing of one kernel and what a result holds.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "elms/detail/kernels.h"
#include "limits.hpp"

namespace elms_bench {

struct Result {
  std::string kernel;
  std::string isa;
  std::string shape;
  Limit limit = Limit::kF32;
  double operations = 0.0;  ///< a multiplication and its addition count as two
  double bytes = 0.0;       ///< read from memory that no cache holds; 0 where caches hold the operands
  double median_us = 0.0;
  double best_us = 0.0;
  double spread = 0.0;        ///< (90th - 10th percentile) / median
  std::string limit_isa;      ///< whose arithmetic the limit is
  double limit_median = 0.0;  ///< of slices between the runs: 1e9 operations or bytes a second
  double limit_best = 0.0;
  bool right = true;  ///< the kernel's result is that of the scalar kernels

  /// In the unit of the limit.
  [[nodiscard]] double rate(double us) const {
    return (limit == Limit::kRead ? bytes : operations) / us / 1e3;
  }
  [[nodiscard]] double share() const { return rate(median_us) / limit_median; }
  [[nodiscard]] double best_share() const { return rate(best_us) / limit_best; }
};

struct Options {
  double seconds = 0.2;  ///< for each result
  std::string filter;    ///< only kernels whose name contains it
};

/// What a bench needs.
struct Bench {
  Options options;
  MachineLimits limits;
  std::vector<Result> results;

  [[nodiscard]] bool wants(const std::string& name) const {
    return name.find(options.filter) != std::string::npos;
  }
};

/// Runs `work` until the bench's time for one result is over, at least five times, with a slice of the
/// limit's measurement every few milliseconds. `work` does `repeats` times what the result is about.
template <typename Work>
void time_runs(Bench& bench, Result& result, int repeats, Work&& work) {
  constexpr double kSliceEvery = 0.01;
  constexpr std::size_t kLeastRuns = 5;
  work();
  std::vector<double> times_us;
  std::vector<double> limits = {bench.limits.measure(result.limit)};
  for (double total = 0.0, since_slice = 0.0;
       total < bench.options.seconds || times_us.size() < kLeastRuns;) {
    const double start = cpu_seconds();
    work();
    const double elapsed = cpu_seconds() - start;
    times_us.push_back(elapsed * 1e6 / repeats);
    total += elapsed;
    since_slice += elapsed;
    if (since_slice < kSliceEvery) continue;
    limits.push_back(bench.limits.measure(result.limit));
    since_slice = 0.0;
  }
  std::sort(times_us.begin(), times_us.end());
  std::sort(limits.begin(), limits.end());
  const auto quantile = [](const std::vector<double>& sorted, double q) {
    return sorted[static_cast<std::size_t>(q * static_cast<double>(sorted.size() - 1))];
  };
  result.median_us = quantile(times_us, 0.5);
  result.best_us = times_us.front();
  result.spread = (quantile(times_us, 0.9) - quantile(times_us, 0.1)) / result.median_us;
  result.limit_isa = bench.limits.isa();
  result.limit_median = quantile(limits, 0.5);
  result.limit_best = limits.back();
}

/// Every GEMM of a table, at the shapes of a 1.1B model's layers, as GEMV from cold memory and as GEMM.
void bench_gemm(const elms_kernel_table& table, Bench& bench);
/// Attention, norms and conversions of a table.
void bench_vectors(const elms_kernel_table& table, Bench& bench);

}  // namespace elms_bench
