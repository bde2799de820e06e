// Many clients of one service. Run under TSan by `cmake/bootstrap.sh test tsan`.
#include <chrono>
#include <cstdlib>
#include <mutex>
#include <thread>

// mallinfo2() is glibc's from 2.33 on, and says nothing of a sanitizer's own allocator.
#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#if __GLIBC_PREREQ(2, 33)
#define ELMS_TEST_SEES_HEAP
#include <malloc.h>
#endif
#endif

#include "service_fixture.hpp"

using namespace elms_test;
using elms::FinishReason;

namespace {

void wait_until(const std::function<bool()>& holds) {
  for (int i = 0; i < 4000 && !holds(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

/// Holds the service's only place until it is let go.
class Blocker {
 public:
  explicit Blocker(elms::ElasticService& service) {
    thread_ = std::thread([this, &service] {
      auto request = request_of("blocker", 4);
      request.on_text = [this](std::string_view) {
        started_ = true;
        while (!released_) std::this_thread::sleep_for(std::chrono::milliseconds(1));
        return elms::Flow::kStop;
      };
      ok_ = service.generate(request).has_value();
    });
    wait_until([this] { return started_.load(); });
  }
  bool release() {
    released_ = true;
    if (thread_.joinable()) thread_.join();
    return ok_;
  }
  ~Blocker() { release(); }

 private:
  std::atomic<bool> started_{false}, released_{false}, ok_{false};
  std::thread thread_;
};

}  // namespace

TEST_CASE("service: waiting requests run by priority and deadline", "[service][threads]") {
  const auto service = make_service();
  std::mutex mutex;
  std::vector<std::string> order;
  std::vector<std::thread> threads;
  {
    Blocker blocker(*service);
    const auto add = [&](const std::string& name, double ttft_ms, int priority) {
      threads.emplace_back([&, name, ttft_ms, priority] {
        auto request = request_of(name, 8);
        request.slo.ttft_ms = ttft_ms;
        request.priority = priority;
        // While it runs: what threads do afterwards may come in any order.
        bool spoke = false;
        request.on_text = [&](std::string_view) {
          const std::lock_guard lock(mutex);
          if (!spoke) order.push_back(name);
          spoke = true;
          return elms::Flow::kContinue;
        };
        const auto answer = service->generate(request);
        const std::lock_guard lock(mutex);
        if (!answer.has_value() || !(answer->times.queue_ms > 0.0)) order.push_back("failed");
      });
      const auto n = static_cast<std::int32_t>(threads.size());
      wait_until([&] { return service->status().n_queued == n; });
    };
    add("late", 1e9, 0);
    add("soon", 1e6, 0);
    add("first", 1e9, 1);
    CHECK(blocker.release());
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(order == std::vector<std::string>{"first", "soon", "late"});
}

TEST_CASE("service: a full line, and cancels and deadlines while waiting", "[service][threads]") {
  auto options = service_options();
  options.max_queued = 1;
  const auto service = make_service(options);
  elms::CancelToken cancel;
  elms::Result<elms::Answer> waiting = elms::Status(elms::StatusCode::kInternal, "not run");
  Blocker blocker(*service);
  std::thread thread([&] {
    auto request = request_of("waits", 2);
    request.cancel = &cancel;
    waiting = service->generate(request);
  });
  wait_until([&] { return service->status().n_queued == 1; });
  CHECK(service->generate(request_of("one too many", 2)).error().code() == elms::StatusCode::kUnavailable);
  cancel.cancel();
  thread.join();
  REQUIRE_OK(waiting);
  CHECK(waiting->finish == FinishReason::kCancelled);

  auto request = request_of("late", 2);
  request.deadline_ms = 20.0;
  const auto late = service->generate(request);
  REQUIRE_OK(late);
  CHECK(late->finish == FinishReason::kDeadline);
  CHECK(late->times.total_ms >= 20.0);
  CHECK(blocker.release());
}

namespace {

/// Bytes that the program has of its allocator; 0 where nobody can say.
std::size_t heap_bytes() {
#ifdef ELMS_TEST_SEES_HEAP
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
#else
  return 0;
#endif
}

struct SoakResult {
  int n_answers = 0, n_whole = 0, n_reused = 0, n_wrong = 0, n_failed = 0;
};

/// Random requests from several clients for some time; every answer, whole or cut short, must begin as the
/// one that the same request gets alone.
SoakResult soak(elms::ElasticService& service, int n_clients, double seconds, int max_requests) {
  static const std::vector<std::string> kPrompts = {"the quick brown fox",
                                                    "the quick brown dog jumps over it",
                                                    "the quick",
                                                    "another prompt altogether",
                                                    "x",
                                                    "the slow brown fox"};
  const int n_levels = static_cast<int>(service.model().levels().size());
  constexpr std::size_t kMost = 24;
  std::vector<std::vector<elms::TokenId>> alone;
  for (const std::string& prompt : kPrompts) {
    for (int level = 0; level < n_levels; ++level)
      alone.push_back(tokens_alone(service, prompt, level, kMost));
  }
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  std::mutex mutex;
  SoakResult result;
  std::vector<std::thread> clients;
  for (int c = 0; c < n_clients; ++c) {
    // make_rng() tells Catch of the seed, which only one thread may do.
    clients.emplace_back([&, rng = make_rng(900 + static_cast<std::uint32_t>(c))]() mutable {
      SoakResult mine;
      for (int i = 0; i < max_requests && std::chrono::steady_clock::now() < end; ++i) {
        const std::size_t p = rng() % kPrompts.size();
        const int level = static_cast<int>(rng() % static_cast<unsigned>(n_levels));
        auto request = request_of(kPrompts[p], static_cast<std::int32_t>(rng() % (kMost + 1)));
        request.level = level;
        request.priority = static_cast<int>(rng() % 3);
        if (rng() % 4 == 0) request.deadline_ms = static_cast<double>(rng() % 40);
        elms::CancelToken cancel;
        request.cancel = &cancel;
        const std::size_t cancel_at = rng() % 3 == 0 ? rng() % 20 : 1000;
        std::size_t n_bytes = 0;
        request.on_text = [&](std::string_view piece) {
          n_bytes += piece.size();
          if (n_bytes >= cancel_at) cancel.cancel();
          return elms::Flow::kContinue;
        };
        const auto answer = service.generate(request);
        if (!answer.has_value()) {
          ++mine.n_failed;
          continue;
        }
        const auto& expected =
            alone[p * static_cast<std::size_t>(n_levels) + static_cast<std::size_t>(level)];
        const bool begins = answer->tokens.size() <= expected.size() &&
                            std::equal(answer->tokens.begin(), answer->tokens.end(), expected.begin());
        const bool is_whole =
            answer->finish == FinishReason::kMaxTokens || answer->finish == FinishReason::kEndOfGeneration;
        const bool has_all =
            !is_whole ||
            answer->tokens.size() ==
                std::min<std::size_t>(expected.size(), static_cast<std::size_t>(request.max_tokens));
        ++mine.n_answers;
        mine.n_whole += is_whole ? 1 : 0;
        mine.n_reused += answer->n_reused_tokens > 0 ? 1 : 0;
        mine.n_wrong += begins && has_all && answer->level_changes.empty() ? 0 : 1;
      }
      const std::lock_guard lock(mutex);
      result.n_answers += mine.n_answers;
      result.n_whole += mine.n_whole;
      result.n_reused += mine.n_reused;
      result.n_wrong += mine.n_wrong;
      result.n_failed += mine.n_failed;
    });
  }
  for (std::thread& client : clients) client.join();
  return result;
}

void check_soak(int n_clients, double seconds, int max_requests) {
  for (const std::int32_t max_running : {1, 3}) {
    auto options = service_options();
    options.n_sessions = 4;
    options.max_running = max_running;
    const auto service = make_service(options);
    // By then every buffer has the size that it needs, and what is asked for is given back.
    const SoakResult warm = soak(*service, n_clients, seconds / 10.0, max_requests);
    const std::size_t heap_before = heap_bytes();
    const SoakResult result = soak(*service, n_clients, seconds * 0.4, max_requests);
    const std::size_t heap_after = heap_bytes();
    CAPTURE(result.n_answers, result.n_whole, result.n_reused);
    CHECK(warm.n_wrong == 0);
    CHECK(warm.n_failed == 0);
    constexpr std::size_t kAllocatorsOwn = 64 * 1024;  // threads' lists of free pieces come and go
    CHECK(heap_after <= heap_before + kAllocatorsOwn);
    CHECK(result.n_wrong == 0);
    CHECK(result.n_failed == 0);
    CHECK(result.n_whole > 0);
    CHECK(result.n_reused > 0);
    CHECK(service->status().n_running == 0);
    CHECK(service->status().n_queued == 0);
    CHECK(service->status().n_answered == static_cast<std::uint64_t>(warm.n_answers + result.n_answers));
    if (max_requests > 1000) {
      WARN("soak, " << max_running << " at a time: " << result.n_answers << " answers, " << result.n_whole
                    << " whole, " << result.n_reused << " with reuse, " << result.n_wrong << " wrong, heap "
                    << heap_before << " bytes before and " << heap_after << " after");
    }
  }
}

}  // namespace

TEST_CASE("service: answers to several clients are those given alone", "[service][threads]") {
  check_soak(4, 60.0, 12);  // ends by the count
}

// ELMS_SOAK_SECONDS: how long; a minute without it.
TEST_CASE("service: soak", "[service][slow][.]") {
  const char* seconds = std::getenv("ELMS_SOAK_SECONDS");
  check_soak(8, seconds != nullptr ? std::atof(seconds) : 60.0, 1 << 30);
}
