// Random numbers that are the same on every platform, compiler and standard library.
#pragma once

#include <bit>
#include <cstdint>

namespace elms::inline v0::detail {

/// One step of SplitMix64 (Steele, Lea, Flood 2014): spreads a seed of any quality over 64 bits.
[[nodiscard]] constexpr std::uint64_t splitmix64(std::uint64_t& state) noexcept {
  state += 0x9E3779B97F4A7C15u;
  std::uint64_t z = state;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

/// xoshiro256** (Blackman, Vigna 2018), seeded through SplitMix64 as its authors advise. 32 bytes, no
/// allocation.
class Xoshiro256 {
 public:
  constexpr explicit Xoshiro256(std::uint64_t seed) noexcept {
    for (std::uint64_t& word : state_) word = splitmix64(seed);
  }
  /// From a raw state, which must not be all zero.
  constexpr Xoshiro256(std::uint64_t s0, std::uint64_t s1, std::uint64_t s2, std::uint64_t s3) noexcept
      : state_{s0, s1, s2, s3} {}

  [[nodiscard]] constexpr std::uint64_t next() noexcept {
    const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
    const std::uint64_t t = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= t;
    state_[3] = std::rotl(state_[3], 45);
    return result;
  }

  /// Uniform in [0, bound), without bias; bound > 0. Candidates are cut to the bits that bound needs and
  /// rejected when they are too large: under two draws on average, and no 128-bit product that some compilers
  /// lack.
  [[nodiscard]] constexpr std::uint64_t below(std::uint64_t bound) noexcept {
    if (bound == 1) return 0;
    const int shift = std::countl_zero(bound - 1);
    std::uint64_t candidate = next() >> shift;
    while (candidate >= bound) candidate = next() >> shift;
    return candidate;
  }

 private:
  std::uint64_t state_[4] = {};
};

}  // namespace elms::inline v0::detail
