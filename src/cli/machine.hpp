// What this machine can do at best, and what this process took of it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "cli/peak/peak_loops.hpp"
#include "cli/samples.hpp"
#include "elms/detail/buffer.hpp"
#include "elms/status.hpp"
#include "elms/thread_pool.hpp"

namespace elms_cli {

/// A rate on all threads of a pool together, and on one of them. 1e9 bytes or operations a second.
struct Limit {
  Samples all, one;
};

/// The arithmetic of one instruction set; a multiplication with its addition counts as two operations.
struct ArithmeticLimit {
  const PeakLoops* loops;
  std::int64_t rounds = 0;  ///< of a slice
  Limit int8, f32;          ///< products of bytes added up in 32 bits; fused multiply-adds
};

/// Measures limits in slices, which belong between the runs that are compared with them: what a machine can
/// do at best changes from one second to the next where others use it too.
class LimitsMeter {
 public:
  /// Takes up to 512 MB, more than any cache holds. `pool` must outlive it. kOutOfMemory.
  static elms::Result<LimitsMeter> create(elms::ThreadPool& pool);

  /// One slice of each limit: a tenth of a second or two.
  void sample();
  /// Likewise, where the last slice was longer ago than a few times what it takes.
  void sample_if_due();

  /// Reading memory that no cache holds, in one run or in four side by side, whichever was faster. After
  /// sample().
  [[nodiscard]] const Limit& read() const;
  /// Of the fastest instruction set of this CPU.
  [[nodiscard]] const ArithmeticLimit& best() const noexcept { return arithmetic_.front(); }
  /// maddubs, madd and add of AVX2, or null where that is best() already, or not there.
  [[nodiscard]] const ArithmeticLimit* maddubs() const noexcept {
    return arithmetic_.size() > 1 ? &arithmetic_[1] : nullptr;
  }

 private:
  explicit LimitsMeter(elms::ThreadPool& pool) : pool_(&pool) {}
  using SumOfPiece = std::uint64_t(const std::uint64_t* words, std::size_t n);
  void sample_read(SumOfPiece* sum_of, Limit& limit);

  elms::ThreadPool* pool_;
  elms::detail::Buffer<std::uint64_t> memory_;
  elms::detail::Buffer<std::uint64_t> sums_;  ///< of each piece of memory_
  std::size_t next_piece_ = 0;                ///< where one thread reads next
  std::array<Limit, 2> reads_;
  std::vector<ArithmeticLimit> arithmetic_;
  double sampled_at_ = 0.0, sample_took_ = 0.0;  ///< seconds
};

/// Most memory that this process ever had resident; 0 where the system does not say.
std::uint64_t peak_rss_bytes();

}  // namespace elms_cli
