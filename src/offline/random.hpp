// Random numbers by position (splitmix64), so that values can be drawn in any order on any thread, and are
// the same with every standard library.
#pragma once

#include <cstddef>
#include <cstdint>

namespace elms::inline v0::offline {

/// A hash: neighbouring seeds give unrelated numbers.
[[nodiscard]] inline std::uint64_t mixed(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

/// Fills a row with values that are nearly normal: each is the sum of four uniform bytes.
inline void draw_row(std::uint64_t seed, std::size_t n, float mean, float deviation, float* out) {
  constexpr float kSumMean = 510.0f, kSumDeviation = 147.8f;
  const float scale = deviation / kSumDeviation;
  const auto value = [&](std::uint64_t bytes) {
    const std::uint64_t pairs = (bytes & 0x00ff00ffu) + ((bytes >> 8) & 0x00ff00ffu);
    return mean + scale * (static_cast<float>((pairs & 0xffffu) + (pairs >> 16)) - kSumMean);
  };
  for (std::size_t i = 0; i < n; i += 2) {
    const std::uint64_t random = mixed(seed + (i + 2) * 0x9e3779b97f4a7c15u);
    out[i] = value(random & 0xffffffffu);
    if (i + 1 < n) out[i + 1] = value(random >> 32);
  }
}

}  // namespace elms::inline v0::offline
