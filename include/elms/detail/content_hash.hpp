// A 64-bit fingerprint of bytes: finds damage and change, withstands no attacker.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace elms::inline v0::detail {

/// Eight bytes at a time. Every step is a bijection of the state, so that changing any single word changes the result.
class ContentHash {
 public:
  ContentHash& add(std::uint64_t word) noexcept {
    state_ = (state_ ^ word) * 0x9E3779B97F4A7C15u;
    state_ ^= state_ >> 29;
    return *this;
  }

  /// Bytes and their number.
  ContentHash& add(std::span<const std::uint8_t> bytes) noexcept {
    std::size_t at = 0;
    for (; at + 8 <= bytes.size(); at += 8) add(load(bytes.data() + at, 8));
    if (at < bytes.size()) add(load(bytes.data() + at, bytes.size() - at));
    return add(std::uint64_t{bytes.size()});
  }
  ContentHash& add(std::string_view text) noexcept {
    return add(std::span<const std::uint8_t>(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()));
  }

  [[nodiscard]] std::uint64_t value() const noexcept { return state_; }

 private:
  static std::uint64_t load(const std::uint8_t* at, std::size_t n) noexcept {
    std::uint64_t word = 0;
    std::memcpy(&word, at, n);
    return word;
  }

  std::uint64_t state_ = 0x243F6A8885A308D3u;
};

}  // namespace elms::inline v0::detail
