#include "cli/machine.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "cli/peak/peak_loops.hpp"
#include "elms/detail/buffer.hpp"
#include "elms/detail/cpu.hpp"

#if !defined(_WIN32)
#include <sys/resource.h>
#endif

namespace elms_cli {
namespace {

using elms::detail::Buffer;

constexpr int kRuns = 7;

template <typename Work>
double seconds_of(Work&& work) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point start = Clock::now();
  work();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

const PeakLoops& best_loops() {
  [[maybe_unused]] const elms_cpu_features cpu = elms::detail::detect_cpu_features();
#if defined(ELMS_CLI_PEAK_AVX2)
  if (cpu.avx2_fma_f16c) return kPeakAvx2;
#endif
#if defined(ELMS_CLI_PEAK_NEON)
  if (cpu.neon_i8mm) return kPeakI8mm;
  if (cpu.neon_dotprod) return kPeakDotprod;
  if (cpu.neon) return kPeakNeon;
#endif
  return kPeakPortable;
}

/// 1e9 operations a second on all threads together.
double peak_of(double (*loop)(std::int64_t), elms::ThreadPool& pool) {
  constexpr double kEnoughSeconds = 0.03;  // long against waking up the threads
  std::int64_t rounds = 1 << 12;
  while (seconds_of([&] { loop(rounds); }) < kEnoughSeconds && rounds < (std::int64_t{1} << 40)) rounds *= 2;
  const double operations = static_cast<double>(pool.n_threads()) * loop(rounds);
  double best = 0.0;
  for (int run = 0; run < kRuns; ++run) {
    const double seconds = seconds_of([&] { pool.parallel_for(pool.n_threads(), [&](std::size_t) { loop(rounds); }); });
    best = std::max(best, operations / seconds / 1e9);
  }
  return best;
}

std::uint64_t sum_of(const std::uint64_t* values, std::size_t n) {
  constexpr std::size_t kChains = 16;  // independent sums, which compilers keep in vector registers
  std::uint64_t sums[kChains] = {};
  for (std::size_t i = 0; i + kChains <= n; i += kChains) {
    for (std::size_t c = 0; c < kChains; ++c) sums[c] += values[i + c];
  }
  std::uint64_t total = 0;
  for (const std::uint64_t sum : sums) total += sum;
  return total;
}

elms::Result<Buffer<std::uint64_t>> big_buffer() {
  constexpr std::size_t kMost = std::size_t{512} << 20, kLeast = std::size_t{32} << 20;
  elms::Result<Buffer<std::uint64_t>> buffer = Buffer<std::uint64_t>::uninitialized(kMost / sizeof(std::uint64_t));
  for (std::size_t size = kMost / 2; !buffer.has_value() && size >= kLeast; size /= 2) {
    buffer = Buffer<std::uint64_t>::uninitialized(size / sizeof(std::uint64_t));
  }
  return buffer;
}

elms::Result<double> read_bandwidth(elms::ThreadPool& pool) {
  constexpr std::size_t kPiece = std::size_t{1} << 17;  // 1 MB: threads that are ahead take more
  ELMS_ASSIGN_OR_RETURN(Buffer<std::uint64_t> memory, big_buffer());
  const std::size_t n_pieces = memory.size() / kPiece;
  pool.parallel_for(n_pieces, [&](std::size_t i) {
    std::memset(memory.data() + i * kPiece, static_cast<int>(i), kPiece * sizeof(std::uint64_t));
  });
  ELMS_ASSIGN_OR_RETURN(Buffer<std::uint64_t> sums, Buffer<std::uint64_t>::zeroed(n_pieces));
  double best = 0.0;
  for (int run = 0; run < kRuns; ++run) {
    const double seconds = seconds_of([&] {
      pool.parallel_for(n_pieces, [&](std::size_t i) { sums[i] += sum_of(memory.data() + i * kPiece, kPiece); });
    });
    best = std::max(best, static_cast<double>(n_pieces * kPiece * sizeof(std::uint64_t)) / seconds / 1e9);
  }
  volatile std::uint64_t sink = sum_of(sums.data(), sums.size());  // without a use, compilers would drop the reading
  (void)sink;
  return best;
}

}  // namespace

elms::Result<MachineLimits> measure_limits(elms::ThreadPool& pool) {
  const PeakLoops& loops = best_loops();
  MachineLimits limits;
  limits.isa = loops.isa;
  ELMS_ASSIGN_OR_RETURN(limits.read_gb_s, read_bandwidth(pool));
  limits.int8_gops = peak_of(loops.int8, pool);
  limits.f32_gflops = peak_of(loops.f32, pool);
  return limits;
}

std::uint64_t peak_rss_bytes() {
#if defined(_WIN32)
  return 0;
#else
  rusage usage{};
  if (getrusage(RUSAGE_SELF, &usage) != 0) return 0;
#if defined(__APPLE__)
  return static_cast<std::uint64_t>(usage.ru_maxrss);
#else
  return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
#endif
#endif
}

}  // namespace elms_cli
