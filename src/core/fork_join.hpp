// The threads behind a ThreadPool, made for parallel sections of 10 to 1000 microseconds that follow one
// another closely.
//
// What it does that general pools do not: a section does not wait for threads to check in, only for items
// that were taken, so that a thread which the OS has put behind something else (a busy core, or the caller's
// own) delays nothing; waiting threads give their core away to whoever wants it, and go to sleep a
// millisecond after the last section.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>

#include "core/worker_thread.hpp"

namespace elms::inline v0::detail {

class ForkJoin {
 public:
  using Task = void (*)(void* context, std::size_t item);

  ForkJoin() = default;
  ForkJoin(const ForkJoin&) = delete;
  ForkJoin& operator=(const ForkJoin&) = delete;
  ~ForkJoin();

  /// Starts n_threads - 1 threads, or as many as there are to be had. Once, before run().
  void start(std::size_t n_threads) noexcept;
  [[nodiscard]] std::size_t n_workers() const noexcept { return n_workers_; }

  /// Calls task(context, i) for every i in [0, n_items), and returns when all are done. Callers take turns.
  void run(Task task, void* context, std::size_t n_items) noexcept;

 private:
  /// Blocks of items that a thread begins with, and that others take from the end of when they have none:
  /// generation, begin and end in one word, so that a block is taken by one exchange, and only in its own
  /// section.
  struct alignas(64) Share {
    std::atomic<std::uint64_t> range{0};
  };
  struct Worker {
    ForkJoin* pool = nullptr;
    std::size_t index = 0;
    WorkerThread thread;
  };

  static void work_for_ever(void* worker);
  [[nodiscard]] std::uint32_t wait_for_section(std::uint32_t last) noexcept;
  /// Takes blocks until none is left, and returns how many.
  std::size_t work(std::uint32_t generation, std::size_t index) noexcept;
  void do_block(std::size_t block) const noexcept;
  void wake_sleepers() noexcept;

  std::size_t n_workers_ = 0;
  std::unique_ptr<Share[]> shares_;    ///< [n_workers_ + 1], the last is the caller's
  std::unique_ptr<Worker[]> workers_;  ///< [n_workers_]
  std::mutex turns_;                   ///< of callers
  Task task_ = nullptr;      ///< of the current section, like the next three: written before it is published,
  void* context_ = nullptr;  ///< read by those who have taken a block of it
  std::size_t n_items_ = 0, grain_ = 1;
  alignas(64) std::atomic<std::uint32_t> generation_{0};  ///< of the current section; kStop ends the threads
  alignas(64) std::atomic<std::size_t> n_done_{0};        ///< blocks that workers have done
  std::atomic<std::size_t> n_asleep_{0};
  std::mutex sleep_;
  std::condition_variable awake_;
};

}  // namespace elms::inline v0::detail
