#include "cli/machine.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>

#if !defined(_WIN32)
#include <sys/resource.h>
#endif

#include "cli/peak/read_loop.hpp"

namespace elms_cli {
namespace {

using elms::detail::Buffer;

constexpr std::size_t kPieceWords = std::size_t{1} << 17;  // 1 MB: threads that are ahead take more pieces
constexpr std::size_t kPiecesOfOneThread = 128;

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

template <typename Work>
double seconds_of(Work&& work) {
  const double start = now();
  work();
  return now() - start;
}

elms::Result<Buffer<std::uint64_t>> big_buffer() {
  constexpr std::size_t kMost = std::size_t{512} << 20, kLeast = std::size_t{32} << 20;
  auto buffer = Buffer<std::uint64_t>::uninitialized_streamed(kMost / sizeof(std::uint64_t));
  for (std::size_t size = kMost / 2; !buffer.has_value() && size >= kLeast; size /= 2) {
    buffer = Buffer<std::uint64_t>::uninitialized_streamed(size / sizeof(std::uint64_t));
  }
  return buffer;
}

/// Rounds that take one thread long enough against waking up the others.
std::int64_t rounds_of_a_slice(const PeakLoops& loops) {
  constexpr double kEnoughSeconds = 0.01;
  std::int64_t rounds = 1 << 12;
  while (seconds_of([&] { loops.int8(rounds); }) < kEnoughSeconds && rounds < (std::int64_t{1} << 40))
    rounds *= 2;
  return rounds;
}

void sample_loop(double (*loop)(std::int64_t), std::int64_t rounds, elms::ThreadPool& pool, Limit& limit) {
  double operations = 0.0;
  limit.one.add(1e-9 / seconds_of([&] { operations = loop(rounds); }));
  limit.one.values.back() *= operations;
  if (pool.n_threads() == 1) {
    limit.all = limit.one;
    return;
  }
  operations *= static_cast<double>(pool.n_threads());
  const auto work = [&] { pool.parallel_for(pool.n_threads(), [&](std::size_t) { loop(rounds); }); };
  limit.all.add(operations * 1e-9 / seconds_of(work));
}

}  // namespace

elms::Result<LimitsMeter> LimitsMeter::create(elms::ThreadPool& pool) {
  LimitsMeter meter(pool);
  ELMS_ASSIGN_OR_RETURN(meter.memory_, big_buffer());
  const std::size_t n_pieces = meter.memory_.size() / kPieceWords;
  ELMS_ASSIGN_OR_RETURN(meter.sums_, Buffer<std::uint64_t>::zeroed(n_pieces));
  pool.parallel_for(n_pieces, [&](std::size_t i) {
    std::memset(meter.memory_.data() + i * kPieceWords, static_cast<int>(i),
                kPieceWords * sizeof(std::uint64_t));
  });
  const PeakLoops* best = runnable_peak_loops().back();
  meter.arithmetic_.push_back({best, rounds_of_a_slice(*best), {}, {}});
  if (const PeakLoops* avx2 = find_peak_loops("avx2"); avx2 != nullptr && avx2 != best) {
    meter.arithmetic_.push_back({avx2, rounds_of_a_slice(*avx2), {}, {}});
  }
  return meter;
}

void LimitsMeter::sample_read(SumOfPiece* sum_of, Limit& limit) {
  const auto read = [&](std::size_t piece) {
    sums_[piece] += sum_of(memory_.data() + piece * kPieceWords, kPieceWords);
  };
  const auto rate = [](std::size_t n_pieces, double seconds) {
    return static_cast<double>(n_pieces * kPieceWords * sizeof(std::uint64_t)) / seconds / 1e9;
  };
  const std::size_t n_pieces = sums_.size(), n_one = std::min(kPiecesOfOneThread, n_pieces);
  const double one = seconds_of([&] {
    for (std::size_t i = 0; i < n_one; ++i) read((next_piece_ + i) % n_pieces);
  });
  limit.one.add(rate(n_one, one));
  next_piece_ = (next_piece_ + n_one) % n_pieces;
  if (pool_->n_threads() == 1) {
    limit.all = limit.one;
  } else {
    limit.all.add(rate(n_pieces, seconds_of([&] { pool_->parallel_for(n_pieces, read); })));
  }
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < n_pieces; ++i) sum += sums_[i];
  volatile std::uint64_t sink = sum;  // without a use, compilers would drop the reading
  (void)sink;
}

const Limit& LimitsMeter::read() const {
  return reads_[0].all.median() >= reads_[1].all.median() ? reads_[0] : reads_[1];
}

void LimitsMeter::sample() {
  const double start = now();
  sample_read(&sum_of_runs<1>, reads_[0]);
  sample_read(&sum_of_runs<4>, reads_[1]);
  for (ArithmeticLimit& limit : arithmetic_) {
    sample_loop(limit.loops->int8, limit.rounds, *pool_, limit.int8);
    sample_loop(limit.loops->f32, limit.rounds, *pool_, limit.f32);
  }
  sampled_at_ = now();
  sample_took_ = sampled_at_ - start;
}

void LimitsMeter::sample_if_due() {
  constexpr double kLeastPause =
      4.0;  // in times of a sample: a fifth of a bench goes into its limits, no more
  if (now() - sampled_at_ >= kLeastPause * sample_took_) sample();
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
