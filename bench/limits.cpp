#include "limits.hpp"

#if defined(_WIN32)
#include <chrono>
#else
#include <time.h>
#endif

#include "cli/peak/read_loop.hpp"

namespace elms_bench {
namespace {

constexpr std::size_t kMemoryWords = (std::size_t{256} << 20) / sizeof(std::uint64_t);
constexpr std::size_t kSliceWords = (std::size_t{32} << 20) / sizeof(std::uint64_t);
constexpr std::int64_t kRounds = 20000;

}  // namespace

double cpu_seconds() {
#if defined(_WIN32)
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
#else
  timespec now{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
#endif
}

MachineLimits::MachineLimits() : loops_(elms_cli::runnable_peak_loops().back()), memory_(kMemoryWords, 1) {}

void MachineLimits::use(const char* isa) {
  if (const elms_cli::PeakLoops* loops = elms_cli::find_peak_loops(isa); loops != nullptr) loops_ = loops;
}

double MachineLimits::read_slice() {
  const std::uint64_t* words = memory_.data() + next_;
  next_ = (next_ + kSliceWords) % kMemoryWords;
  const double start = cpu_seconds();
  sum_ += elms_cli::sum_of_runs<4>(words, kSliceWords);
  const double seconds = cpu_seconds() - start;
  volatile std::uint64_t sink = sum_;  // without a use, compilers would drop the reading
  (void)sink;
  return static_cast<double>(kSliceWords * sizeof(std::uint64_t)) / seconds / 1e9;
}

double MachineLimits::measure(Limit limit) {
  if (limit == Limit::kRead) return read_slice();
  const double start = cpu_seconds();
  const double operations = limit == Limit::kInt8 ? loops_->int8(kRounds) : loops_->f32(kRounds);
  return operations / (cpu_seconds() - start) / 1e9;
}

}  // namespace elms_bench
