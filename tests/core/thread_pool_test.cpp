#include "elms/thread_pool.hpp"

#include <pthreadpool.h>

#if defined(__linux__)
#include <pthread.h>
#include <sched.h>
#endif

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <memory>
#include <mutex>
#include <numeric>
#include <set>
#include <thread>
#include <vector>

#include "elms/detail/cpu.hpp"
#include "support.hpp"

namespace {

using elms::Result;
using elms::StatusCode;
using elms::ThreadPool;

std::shared_ptr<ThreadPool> make_pool(std::size_t n_threads) {
  Result<std::shared_ptr<ThreadPool>> pool = ThreadPool::create(n_threads);
  REQUIRE_OK(pool);
  return *pool;
}

TEST_CASE("thread_pool calls every item once", "[core][thread_pool][threads]") {
  for (const std::size_t n_threads : {1u, 2u, 3u, 8u}) {
    const std::shared_ptr<ThreadPool> pool = make_pool(n_threads);
    CHECK(pool->n_threads() == n_threads);
    for (const std::size_t n_items : {0u, 1u, 2u, 7u, 8u, 9u, 1000u}) {
      CAPTURE(n_threads, n_items);
      // Plain integers: an item that runs twice at once, or after parallel_for returned, is a race for
      // ThreadSanitizer.
      std::vector<int> n_calls(n_items, 0);
      pool->parallel_for(n_items, [&](std::size_t i) { ++n_calls[i]; });
      REQUIRE(std::count(n_calls.begin(), n_calls.end(), 1) == static_cast<std::ptrdiff_t>(n_items));
    }
  }
}

TEST_CASE("thread_pool takes more items than a share counts", "[core][thread_pool]") {
  constexpr std::size_t kItems = (1u << 21) + 3;  // in blocks of three
  const std::shared_ptr<ThreadPool> pool = make_pool(2);
  std::vector<std::uint8_t> n_calls(kItems, 0);
  pool->parallel_for(kItems, [&](std::size_t i) { ++n_calls[i]; });
  CHECK(std::count(n_calls.begin(), n_calls.end(), 1) == static_cast<std::ptrdiff_t>(kItems));
}

TEST_CASE("thread_pool wakes threads that went to sleep", "[core][thread_pool][threads]") {
  const std::shared_ptr<ThreadPool> pool = make_pool(3);
  for (int round = 0; round < 20; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(round % 4));  // about as long as they stay awake
    // Each item waits for the others, which takes all three threads.
    std::atomic<int> n_started{0};
    pool->parallel_for(3, [&](std::size_t) {
      ++n_started;
      while (n_started.load() < 3) std::this_thread::yield();
    });
    CHECK(n_started.load() == 3);
  }
}

#if defined(__linux__)
std::atomic<bool> is_held{false}, is_let_go{false};

void hold_this_thread(int) {
  is_held = true;
  while (!is_let_go.load()) sched_yield();
}

// Not tagged [threads]: ThreadSanitizer delivers signals when it sees fit.
TEST_CASE("thread_pool does not wait for a thread that the system keeps away", "[core][thread_pool]") {
  const std::shared_ptr<ThreadPool> pool = make_pool(2);
  const pthread_t caller = pthread_self();
  pthread_t worker{};
  std::atomic<int> n_started{0};
  pool->parallel_for(2, [&](std::size_t) {
    if (pthread_equal(pthread_self(), caller) == 0) worker = pthread_self();
    ++n_started;
    while (n_started.load() < 2) std::this_thread::yield();
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));  // it sleeps then, and holds no lock
  struct sigaction held {
  }, before{};
  held.sa_handler = hold_this_thread;
  REQUIRE(sigaction(SIGUSR1, &held, &before) == 0);
  REQUIRE(pthread_kill(worker, SIGUSR1) == 0);
  while (!is_held.load()) std::this_thread::yield();
  // It is nowhere, and stays there: a pool whose threads check in would never return.
  std::vector<int> n_calls(1000, 0);
  for (int round = 0; round < 3; ++round)
    pool->parallel_for(n_calls.size(), [&](std::size_t i) { ++n_calls[i]; });
  is_let_go = true;
  CHECK(n_calls == std::vector<int>(1000, 3));
  n_started = 0;  // and back it comes
  pool->parallel_for(2, [&](std::size_t) {
    ++n_started;
    while (n_started.load() < 2) std::this_thread::yield();
  });
  CHECK(n_started.load() == 2);
  REQUIRE(sigaction(SIGUSR1, &before, nullptr) == 0);
}
#endif

TEST_CASE("thread_pool on a pthreadpool is one that XNNPACK takes", "[core][thread_pool][threads]") {
  CHECK(make_pool(2)->native() == nullptr);
  const auto pool = ThreadPool::create_native(2);
  REQUIRE_OK(pool);
  REQUIRE((*pool)->native() != nullptr);
  CHECK(pthreadpool_get_threads_count((*pool)->native()) == 2);
  std::vector<int> n_calls(1000, 0);
  for (int round = 0; round < 3; ++round) {
    (*pool)->parallel_for(n_calls.size(), [&](std::size_t i) { ++n_calls[i]; });
    (*pool)->rest();
  }
  CHECK(n_calls == std::vector<int>(1000, 3));
  CHECK((*ThreadPool::create_native(1))->native() == nullptr);
}

TEST_CASE("thread_pool makes the work of one section visible to the next", "[core][thread_pool][threads]") {
  const std::shared_ptr<ThreadPool> pool = make_pool(4);
  constexpr std::size_t kItems = 64;
  std::vector<std::uint64_t> values(kItems, 1);
  std::vector<std::uint64_t> sums(kItems, 0);
  for (int round = 0; round < 20; ++round) {
    pool->parallel_for(kItems, [&](std::size_t i) {
      sums[i] = std::accumulate(values.begin(), values.end(), std::uint64_t{0});
    });
    pool->parallel_for(kItems, [&](std::size_t i) { values[i] = sums[kItems - 1 - i] % 1000; });
  }
  std::vector<std::uint64_t> expected(kItems, 1);
  for (int round = 0; round < 20; ++round) {
    std::fill(expected.begin(), expected.end(),
              std::accumulate(expected.begin(), expected.end(), std::uint64_t{0}) % 1000);
  }
  CHECK(values == expected);
}

TEST_CASE("thread_pool works on several threads", "[core][thread_pool][threads]") {
  const std::shared_ptr<ThreadPool> pool = make_pool(2);
  // Each of two items waits for the other, so that one thread alone would never get through.
  std::atomic<int> n_started{0};
  std::mutex mutex;
  std::set<std::thread::id> threads;
  pool->parallel_for(2, [&](std::size_t) {
    ++n_started;
    while (n_started.load() < 2) std::this_thread::yield();
    const std::lock_guard<std::mutex> lock(mutex);
    threads.insert(std::this_thread::get_id());
  });
  CHECK(threads.size() == 2);
}

TEST_CASE("thread_pool is shared by callers on several threads", "[core][thread_pool][threads]") {
  const std::shared_ptr<ThreadPool> pool = make_pool(3);
  constexpr std::size_t kCallers = 4;
  constexpr std::size_t kItems = 50;
  std::vector<std::vector<int>> n_calls(kCallers, std::vector<int>(kItems, 0));
  std::vector<std::thread> callers;
  for (std::vector<int>& mine : n_calls) {
    callers.emplace_back([&pool, &mine] {
      for (int round = 0; round < 30; ++round)
        pool->parallel_for(kItems, [&mine](std::size_t i) { ++mine[i]; });
    });
  }
  for (std::thread& caller : callers) caller.join();
  CHECK(n_calls == std::vector<std::vector<int>>(kCallers, std::vector<int>(kItems, 30)));
}

TEST_CASE("thread_pool outlives the thread that first used it", "[core][thread_pool][threads]") {
  const std::shared_ptr<ThreadPool> pool = make_pool(2);
  std::vector<int> n_calls(10, 0);
  std::thread([&] { pool->parallel_for(10, [&](std::size_t i) { ++n_calls[i]; }); }).join();
  pool->parallel_for(10, [&](std::size_t i) { ++n_calls[i]; });
  CHECK(n_calls == std::vector<int>(10, 2));
}

TEST_CASE("thread_pool of default size has a thread per fast core", "[core][thread_pool]") {
  const std::shared_ptr<ThreadPool> pool = make_pool(0);
  CHECK(pool->n_threads() >= 1);
  CHECK(pool->n_threads() <= std::max(1u, std::thread::hardware_concurrency()));
}

TEST_CASE("thread_pool refuses an absurd number of threads", "[core][thread_pool]") {
  const auto pool = ThreadPool::create(257);
  REQUIRE_FALSE(pool.has_value());
  CHECK(pool.error().code() == StatusCode::kInvalidArgument);
  CHECK(pool.error().message().find("257") != std::string::npos);
  REQUIRE_OK(ThreadPool::create(256));
}

TEST_CASE("thread_pool borrows the host's pool and leaves it alive", "[core][thread_pool][threads]") {
  CHECK(ThreadPool::borrow(nullptr).error().code() == StatusCode::kInvalidArgument);

  const std::unique_ptr<::pthreadpool, void (*)(pthreadpool_t)> host(pthreadpool_create(2),
                                                                     pthreadpool_destroy);
  REQUIRE(host != nullptr);
  std::vector<int> n_calls(10, 0);
  {
    const auto pool = ThreadPool::borrow(host.get());
    REQUIRE_OK(pool);
    CHECK((*pool)->n_threads() == 2);
    (*pool)->parallel_for(10, [&](std::size_t i) { ++n_calls[i]; });
  }
  CHECK(n_calls == std::vector<int>(10, 1));

  // Straight through the host's pool, ThreadSanitizer sees no fork and no join: these items touch one atomic,
  // no more.
  static std::atomic<int> n_host_calls{0};
  n_host_calls = 0;
  pthreadpool_parallelize_1d(
      host.get(), [](void*, std::size_t) { ++n_host_calls; }, nullptr, 10, 0);
  CHECK(n_host_calls == 10);
}

#if defined(__linux__)
std::size_t count_os_threads() {
  const std::filesystem::directory_iterator tasks("/proc/self/task");
  return static_cast<std::size_t>(std::distance(begin(tasks), end(tasks)));
}

// Not tagged [threads]: ThreadSanitizer starts a thread of its own on the way.
TEST_CASE("thread_pool starts no thread before it is needed and ends its threads", "[core][thread_pool]") {
  const std::size_t n_before = count_os_threads();  // an emulator has threads of its own too
  {
    const std::shared_ptr<ThreadPool> pool = make_pool(4);
    int n_calls = 0;
    pool->parallel_for(1, [&](std::size_t) { ++n_calls; });
    CHECK(n_calls == 1);
    CHECK(count_os_threads() == n_before);
    pool->parallel_for(4, [&](std::size_t) {});
    CHECK(count_os_threads() == n_before + 3);
    pool->parallel_for(4, [&](std::size_t) {});
    CHECK(count_os_threads() == n_before + 3);
  }
  // The kernel takes a joined thread out of /proc a moment later.
  for (int i = 0; i < 1000 && count_os_threads() > n_before; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  CHECK(count_os_threads() == n_before);
}
#endif

TEST_CASE("thread_pool binds each thread to a CPU of its own", "[core][thread_pool][threads]") {
  // In a thread of its own: binding cannot be undone.
  Result<std::vector<int>> cpus = std::vector<int>();
  Result<std::vector<int>> too_many = std::vector<int>();
  std::set<int> seen;
  std::thread([&] {
    const std::shared_ptr<ThreadPool> pool =
        make_pool(std::min(2u, std::max(1u, std::thread::hardware_concurrency())));
    cpus = pool->pin_threads();
    std::mutex mutex;
    for (int round = 0; round < 50; ++round) {
      pool->parallel_for(64, [&](std::size_t) {
        const Result<int> here = elms::detail::current_cpu();
        const std::lock_guard lock(mutex);
        if (here.has_value()) seen.insert(*here);
      });
    }
    too_many = make_pool(256)->pin_threads();
  }).join();
  if (!cpus.has_value() && cpus.error().code() == StatusCode::kUnsupported) ELMS_SKIP(cpus.error().message());
  REQUIRE_OK(cpus);
  const std::set<int> distinct(cpus->begin(), cpus->end());
  CHECK(distinct.size() == cpus->size());
  CHECK(std::includes(distinct.begin(), distinct.end(), seen.begin(), seen.end()));
  if (std::thread::hardware_concurrency() < 256)
    CHECK(too_many.error().code() == StatusCode::kInvalidArgument);
}

}  // namespace
