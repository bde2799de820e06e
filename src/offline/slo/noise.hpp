// Something else that wants the CPU.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>

namespace elms::inline v0::offline {

/// While it lives, a thread computes in bursts of 20 to 300 ms with pauses as long, drawn by the seed.
class NoiseThread {
 public:
  explicit NoiseThread(std::uint64_t seed);
  ~NoiseThread();
  NoiseThread(const NoiseThread&) = delete;
  NoiseThread& operator=(const NoiseThread&) = delete;

 private:
  void run(std::uint64_t seed) const;

  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace elms::inline v0::offline
