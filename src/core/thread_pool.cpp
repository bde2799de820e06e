#include "elms/thread_pool.hpp"

#include <pthreadpool.h>

#include <atomic>
#include <mutex>
#include <new>
#include <thread>

#include "core/fork_join.hpp"
#include "elms/detail/cpu.hpp"
#include "elms/detail/error.hpp"

// pthreadpool is not instrumented, so ThreadSanitizer is told about its fork and join.
#if defined(__SANITIZE_THREAD__)
#define ELMS_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define ELMS_TSAN 1
#endif
#endif
#if defined(ELMS_TSAN)
extern "C" void __tsan_acquire(void* address);  // NOLINT: the sanitizer's own names
extern "C" void __tsan_release(void* address);  // NOLINT
#endif

namespace elms::inline v0 {

struct ThreadPool::Impl {
  std::once_flag started;
  detail::ForkJoin threads;     ///< unless on_pthreadpool
  bool on_pthreadpool = false;  ///< the host's, or what XNNPACK computes on
  pthreadpool_t pool = nullptr;
  bool owned = true;
};

namespace {

void acquire([[maybe_unused]] void* address) {
#if defined(ELMS_TSAN)
  __tsan_acquire(address);
#endif
}
void release([[maybe_unused]] void* address) {
#if defined(ELMS_TSAN)
  __tsan_release(address);
#endif
}

struct Fork {
  void (*task)(void*, std::size_t);
  void* context;
  char at_fork;  // addresses that stand for the two synchronisation points
  char at_join;
};

void run_item(void* opaque, std::size_t i) {
  auto* fork = static_cast<Fork*>(opaque);
  acquire(&fork->at_fork);
  fork->task(fork->context, i);
  release(&fork->at_join);
}

constexpr std::size_t kMaxThreads = 256;

}  // namespace

ThreadPool::ThreadPool(std::size_t n_threads) noexcept
    : n_threads_(n_threads), impl_(new (std::nothrow) Impl) {}

ThreadPool::~ThreadPool() {
  if (impl_ != nullptr && impl_->owned) pthreadpool_destroy(impl_->pool);
}

Result<std::shared_ptr<ThreadPool>> ThreadPool::make(std::size_t n_threads) {
  return detail::or_out_of_memory([&]() -> Result<std::shared_ptr<ThreadPool>> {
    std::unique_ptr<ThreadPool> pool(new (std::nothrow) ThreadPool(n_threads));
    if (pool == nullptr || pool->impl_ == nullptr) return Status(StatusCode::kOutOfMemory, "thread pool");
    return std::shared_ptr<ThreadPool>(std::move(pool));
  });
}

Result<std::shared_ptr<ThreadPool>> ThreadPool::create(std::size_t n_threads) {
  if (n_threads > kMaxThreads) {
    return detail::invalid_argument("thread pool: at most ", kMaxThreads, " threads, asked for ", n_threads);
  }
  return make(n_threads == 0 ? detail::count_fast_cores() : n_threads);
}

Result<std::shared_ptr<ThreadPool>> ThreadPool::borrow(::pthreadpool* host_pool) {
  if (host_pool == nullptr) return detail::invalid_argument("thread pool: the host's pthreadpool is null");
  ELMS_ASSIGN_OR_RETURN(std::shared_ptr<ThreadPool> pool, make(pthreadpool_get_threads_count(host_pool)));
  pool->impl_->on_pthreadpool = true;
  pool->impl_->pool = host_pool;
  pool->impl_->owned = false;
  return pool;
}

Result<std::shared_ptr<ThreadPool>> ThreadPool::create_native(std::size_t n_threads) {
  ELMS_ASSIGN_OR_RETURN(std::shared_ptr<ThreadPool> pool, create(n_threads));
  pool->impl_->on_pthreadpool = true;
  return pool;
}

bool ThreadPool::start() noexcept {
  std::call_once(impl_->started, [this] {
    if (!impl_->on_pthreadpool) {
      impl_->threads.start(n_threads_);
    } else if (impl_->pool == nullptr) {
      impl_->pool = pthreadpool_create(n_threads_);
    }
  });
  return impl_->on_pthreadpool ? pthreadpool_get_threads_count(impl_->pool) > 1
                               : impl_->threads.n_workers() > 0;
}

::pthreadpool* ThreadPool::native() noexcept {
  return impl_->on_pthreadpool && n_threads_ > 1 && start() ? impl_->pool : nullptr;
}

void ThreadPool::rest() noexcept {
  if (!impl_->on_pthreadpool || !impl_->owned || impl_->pool == nullptr) return;
  pthreadpool_parallelize_1d(
      impl_->pool, [](void*, std::size_t) {}, nullptr, n_threads_, PTHREADPOOL_FLAG_YIELD_WORKERS);
}

Result<std::vector<int>> ThreadPool::pin_threads() {
  return detail::or_out_of_memory([&] { return pin(); });
}

Result<std::vector<int>> ThreadPool::pin() {
  const std::vector<int> cpus = detail::allowed_cpus_fastest_first();
  if (cpus.empty()) return detail::unsupported("thread pool: this system does not bind threads to CPUs");
  if (cpus.size() < n_threads_) {
    return detail::invalid_argument("thread pool: ", n_threads_, " threads, but only ", cpus.size(),
                                    " CPUs are allowed");
  }
  if (n_threads_ > 1 && !start()) return detail::unsupported("thread pool: its threads could not be started");
  std::vector<Result<int>> bound(n_threads_, Result<int>(-1));
  std::atomic<std::size_t> n_arrived{0};
  parallel_for(n_threads_, [&](std::size_t i) {
    bound[i] = detail::pin_this_thread(cpus[i]);
    // Nobody goes on before all are here: so each thread has taken just one item.
    ++n_arrived;
    while (n_arrived.load() < n_threads_) std::this_thread::yield();
  });
  std::vector<int> result;
  for (const Result<int>& cpu : bound) {
    if (!cpu.has_value()) return cpu.error();
    result.push_back(*cpu);
  }
  return result;
}

void ThreadPool::run(void (*task)(void*, std::size_t), void* context, std::size_t n_items) noexcept {
  start();
  if (!impl_->on_pthreadpool) return impl_->threads.run(task, context, n_items);
  // A pool that could not start its threads is null: pthreadpool then runs every item on the calling thread.
  Fork fork{task, context, 0, 0};
  release(&fork.at_fork);
  pthreadpool_parallelize_1d(impl_->pool, run_item, &fork, n_items, 0);
  acquire(&fork.at_join);
}

}  // namespace elms::inline v0
