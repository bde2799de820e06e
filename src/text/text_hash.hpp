// Hashes of short texts, such as tokens and pieces of words are.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace elms::inline v0::detail {

[[nodiscard]] constexpr std::uint64_t mix_bits(std::uint64_t hash) noexcept {
  hash *= 0x9E3779B97F4A7C15u;
  return hash ^ hash >> 32;
}

[[nodiscard]] constexpr std::array<std::uint64_t, 64> make_hash_factors() noexcept {
  std::array<std::uint64_t, 64> factors{};
  std::uint64_t last = 1;
  for (std::uint64_t& factor : factors) {
    last = mix_bits(last + 0x9E3779B97F4A7C15u);
    factor = last | 1;
  }
  return factors;
}

/// The hash of a text that grows at its end, so that those of all beginnings of a word cost one pass: a sum
/// over its bytes, with a factor for each place.
class TextHash {
 public:
  void append(char c) noexcept {
    sum_ += (std::uint64_t{static_cast<unsigned char>(c)} + 1) * kFactors[n_++ % kFactors.size()];
    if (n_ % kFactors.size() == 0) sum_ = mix_bits(sum_);
  }
  void append(std::string_view text) noexcept {
    for (const char c : text) append(c);
  }
  [[nodiscard]] std::uint64_t value() const noexcept { return mix_bits(sum_); }

 private:
  static constexpr std::array<std::uint64_t, 64> kFactors = make_hash_factors();

  std::uint64_t sum_ = 0;
  std::size_t n_ = 0;
};

/// At most 8 bytes as a number, of which texts of one size have different ones.
[[nodiscard]] inline std::uint64_t pack_bytes(const char* bytes, std::size_t n) noexcept {
  if (n == 8) {
    std::uint64_t all = 0;
    std::memcpy(&all, bytes, 8);
    return all;
  }
  if (n >= 4) {
    std::uint32_t first = 0, last = 0;  // which overlap
    std::memcpy(&first, bytes, 4);
    std::memcpy(&last, bytes + n - 4, 4);
    return std::uint64_t{first} << 32 | last;
  }
  std::uint64_t packed = 0;
  for (std::size_t i = 0; i < n; ++i) packed = packed << 8 | static_cast<unsigned char>(bytes[i]);
  return packed;
}

}  // namespace elms::inline v0::detail
