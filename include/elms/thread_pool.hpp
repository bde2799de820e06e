// The threads that elms computes on.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "elms/status.hpp"

struct pthreadpool;  // the host may hand in its own (https://github.com/Maratyszcza/pthreadpool)

namespace elms::inline v0 {

/// Threads for short parallel sections, elms' own or a pthreadpool's. They start at the first parallel call that has more
/// than one item, not before; elms' own wait a millisecond for the next section, giving their core to whoever wants it,
/// and sleep then.
///
/// Thread-safe: several sessions may share one pool; their parallel sections then take turns. Work started from
/// inside a parallel section of the same pool is a deadlock.
class ThreadPool {
 public:
  /// A pool of n_threads, the calling thread included. 0 means one for each of the fastest cores that this process may
  /// run on, as cpuinfo reports them. At most 256.
  [[nodiscard]] static Result<std::shared_ptr<ThreadPool>> create(std::size_t n_threads = 0);

  /// Uses the host's pool, which must outlive the handle. kInvalidArgument for a null pointer.
  [[nodiscard]] static Result<std::shared_ptr<ThreadPool>> borrow(::pthreadpool* pool);

  /// As create(), on a pthreadpool, for who computes with libraries that want one (XNNPACK).
  [[nodiscard]] static Result<std::shared_ptr<ThreadPool>> create_native(std::size_t n_threads = 0);

  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;
  ~ThreadPool();

  [[nodiscard]] std::size_t n_threads() const noexcept { return n_threads_; }

  /// Binds each thread of the pool, the calling one included, to a CPU of its own, the fastest cores first and one CPU
  /// of each core before its siblings. Returns the CPUs that the threads then run on, as the OS reports them, one for
  /// each thread. Meant for the thread that will call the sessions; nothing undoes it. kUnsupported where the OS does
  /// not offer it or threads could not be started, kInvalidArgument where fewer CPUs are allowed than there are threads.
  [[nodiscard]] Result<std::vector<int>> pin_threads();

  /// The pthreadpool behind this handle, its threads started, for libraries that compute on one; null where there is none,
  /// or one thread: such libraries compute on the calling thread then.
  [[nodiscard]] ::pthreadpool* native() noexcept;
  /// Sends the threads of a pthreadpool of our own to sleep, which would spin for tens of milliseconds and hold up others'
  /// threads. After the last of some sections that belong together.
  void rest() noexcept;

  /// Calls fn(i) for every i in [0, n_items), each once, from any thread, and returns when all are done. fn must not
  /// throw. No allocation after the first call.
  template <typename Fn>
  void parallel_for(std::size_t n_items, Fn&& fn) noexcept {
    if (n_items == 0) return;
    if (n_items == 1 || n_threads_ == 1) {
      for (std::size_t i = 0; i < n_items; ++i) fn(i);
      return;
    }
    using Callable = std::remove_reference_t<Fn>;
    run([](void* context, std::size_t i) { (*static_cast<Callable*>(context))(i); },
        const_cast<void*>(static_cast<const void*>(&fn)), n_items);
  }

 private:
  struct Impl;
  explicit ThreadPool(std::size_t n_threads) noexcept;
  static Result<std::shared_ptr<ThreadPool>> make(std::size_t n_threads);
  [[nodiscard]] Result<std::vector<int>> pin();
  /// Whether there are threads besides the calling one.
  bool start() noexcept;
  void run(void (*task)(void*, std::size_t), void* context, std::size_t n_items) noexcept;

  std::size_t n_threads_;
  std::unique_ptr<Impl> impl_;
};

}  // namespace elms::inline v0
