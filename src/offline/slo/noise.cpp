#include "offline/slo/noise.hpp"

#include <chrono>

#include "elms/detail/random.hpp"

namespace elms::inline v0::offline {

using Clock = std::chrono::steady_clock;

NoiseThread::NoiseThread(std::uint64_t seed) : thread_([this, seed] { run(seed); }) {}

NoiseThread::~NoiseThread() {
  stopping_.store(true, std::memory_order_relaxed);
  thread_.join();
}

void NoiseThread::run(std::uint64_t seed) const {
  detail::Xoshiro256 random(seed);
  const auto next_ms = [&] { return std::chrono::milliseconds(20 + random.below(281)); };
  while (!stopping_.load(std::memory_order_relaxed)) {
    const Clock::time_point burst_end = Clock::now() + next_ms();
    while (Clock::now() < burst_end && !stopping_.load(std::memory_order_relaxed)) {
    }
    std::this_thread::sleep_for(next_ms());
  }
}

}  // namespace elms::inline v0::offline
