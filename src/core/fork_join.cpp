#include "core/fork_join.hpp"

#include <algorithm>
#include <chrono>
#include <new>
#include <optional>
#include <thread>

#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#endif

namespace elms::inline v0::detail {
namespace {

constexpr int kIndexBits = 20;
constexpr std::uint64_t kIndexMask = (1u << kIndexBits) - 1;
constexpr std::uint32_t kGenerations = (1u << (64 - 2 * kIndexBits)) - 1;  // then from 1 again
constexpr std::uint32_t kStop = ~0u;
constexpr int kPauses = 500;  // some 10 us: most gaps between sections are shorter
constexpr auto kAwake = std::chrono::microseconds(1000);  // covers the gap between two tokens

std::uint64_t range_of(std::uint32_t generation, std::size_t begin, std::size_t end) noexcept {
  return std::uint64_t{generation} << (2 * kIndexBits) | static_cast<std::uint64_t>(begin) << kIndexBits |
         end;
}

enum class Side : std::uint8_t { kFront, kBack };

/// A block of a share, where one is left in this section.
std::optional<std::size_t> take(std::atomic<std::uint64_t>& range, std::uint32_t generation,
                                Side side) noexcept {
  std::uint64_t seen = range.load(std::memory_order_relaxed);
  while (true) {
    const std::uint64_t begin = seen >> kIndexBits & kIndexMask, end = seen & kIndexMask;
    if (seen >> (2 * kIndexBits) != generation || begin >= end) return std::nullopt;
    const std::uint64_t rest =
        side == Side::kFront ? range_of(generation, begin + 1, end) : range_of(generation, begin, end - 1);
    if (range.compare_exchange_weak(seen, rest, std::memory_order_acquire, std::memory_order_relaxed))
      return side == Side::kFront ? begin : end - 1;
  }
}

void pause() noexcept {
#if defined(__x86_64__) || defined(_M_X64)
  _mm_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

}  // namespace

ForkJoin::~ForkJoin() {
  generation_.store(kStop);
  wake_sleepers();
  workers_.reset();  // joins
}

void ForkJoin::start(std::size_t n_threads) noexcept {
  shares_.reset(new (std::nothrow) Share[n_threads]);
  workers_.reset(new (std::nothrow) Worker[n_threads - 1]);
  if (shares_ == nullptr || workers_ == nullptr) return;
  // Threads read n_workers_ when there is a section, which start() comes before.
  for (std::size_t i = 0; i + 1 < n_threads; ++i) {
    workers_[i].pool = this;
    workers_[i].index = i;
    if (!workers_[i].thread.start(&ForkJoin::work_for_ever, &workers_[i])) break;
    n_workers_ = i + 1;
  }
}

void ForkJoin::work_for_ever(void* opaque) {
  const auto& worker = *static_cast<const Worker*>(opaque);
  ForkJoin& pool = *worker.pool;
  std::uint32_t generation = 0;
  while ((generation = pool.wait_for_section(generation)) != kStop) {
    const std::size_t n = pool.work(generation, worker.index);
    if (n > 0) pool.n_done_.fetch_add(n, std::memory_order_release);
  }
}

std::uint32_t ForkJoin::wait_for_section(std::uint32_t last) noexcept {
  for (int i = 0; i < kPauses; ++i) {
    const std::uint32_t now = generation_.load(std::memory_order_acquire);
    if (now != last) return now;
    pause();
  }
  const auto until = std::chrono::steady_clock::now() + kAwake;
  do {
    std::this_thread::yield();
    const std::uint32_t now = generation_.load(std::memory_order_acquire);
    if (now != last) return now;
  } while (std::chrono::steady_clock::now() < until);
  std::unique_lock lock(sleep_);
  n_asleep_.fetch_add(1);  // before the section is looked for: see run()
  awake_.wait(lock, [&] { return generation_.load() != last; });
  n_asleep_.fetch_sub(1);
  return generation_.load();
}

std::size_t ForkJoin::work(std::uint32_t generation, std::size_t index) noexcept {
  std::size_t n_taken = 0;
  while (const std::optional<std::size_t> block = take(shares_[index].range, generation, Side::kFront)) {
    do_block(*block);
    ++n_taken;
  }
  const std::size_t n_shares = n_workers_ + 1;
  for (std::size_t i = 1; i < n_shares; ++i) {
    std::atomic<std::uint64_t>& other = shares_[(index + i) % n_shares].range;
    while (const std::optional<std::size_t> block = take(other, generation, Side::kBack)) {
      do_block(*block);
      ++n_taken;
    }
  }
  return n_taken;
}

void ForkJoin::do_block(std::size_t block) const noexcept {
  const std::size_t begin = block * grain_, end = std::min(n_items_, begin + grain_);
  for (std::size_t i = begin; i < end; ++i) task_(context_, i);
}

void ForkJoin::wake_sleepers() noexcept {
  { const std::lock_guard lock(sleep_); }
  awake_.notify_all();
}

void ForkJoin::run(Task task, void* context, std::size_t n_items) noexcept {
  if (n_workers_ == 0) {
    for (std::size_t i = 0; i < n_items; ++i) task(context, i);
    return;
  }
  const std::lock_guard turn(turns_);
  task_ = task;
  context_ = context;
  n_items_ = n_items;
  grain_ = n_items / kIndexMask + 1;
  const std::size_t n_blocks = (n_items + grain_ - 1) / grain_, n_shares = n_workers_ + 1;
  const std::uint32_t generation = generation_.load(std::memory_order_relaxed) % kGenerations + 1;
  for (std::size_t i = 0; i < n_shares; ++i) {
    shares_[i].range.store(range_of(generation, n_blocks * i / n_shares, n_blocks * (i + 1) / n_shares),
                           std::memory_order_release);
  }
  n_done_.store(0, std::memory_order_relaxed);
  // Published first and sleepers looked for then, while they count themselves first and look for a section
  // then: one of the two sees the other.
  generation_.store(generation);
  if (n_asleep_.load() > 0) wake_sleepers();
  const std::size_t n_mine = work(generation, n_workers_);
  for (int i = 0; n_done_.load(std::memory_order_acquire) + n_mine < n_blocks; ++i) {
    // Then whoever has the last block may be waiting for this very core.
    if (i < kPauses)
      pause();
    else
      std::this_thread::yield();
  }
}

}  // namespace elms::inline v0::detail
