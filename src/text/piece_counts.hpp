// How many tokens short pieces of text are: drafts of one text have most of their pieces in common.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "text_hash.hpp"

namespace elms::inline v0::detail {

/// A cache: a piece that finds no place near its own pushes another one out, so that no text makes it slow.
class PieceCounts {
 public:
  /// What `count()` says of the piece, or said before. Longer pieces than are kept are always asked about.
  template <typename Count>
  std::size_t of(std::string_view piece, const Count& count) {
    if (piece.empty() || piece.size() > kMaxBytes) return count();
    if (slots_.empty()) slots_.resize(kFirstSlots);
    const Slot wanted = slot_of(piece);
    const std::size_t home = home_of(wanted);
    for (std::size_t i = 0; i < kProbes; ++i) {
      const Slot& slot = slots_[(home + i) & (slots_.size() - 1)];
      if (slot.size == 0) break;
      if (slot.size == wanted.size && same_bytes(slot, wanted)) return slot.n_tokens;
    }
    const std::size_t n_tokens = count();
    if (2 * n_used_ >= slots_.size() && slots_.size() < kMostSlots) grow();
    insert(wanted, static_cast<std::uint32_t>(n_tokens));
    return n_tokens;
  }

 private:
  static constexpr std::size_t kMaxBytes = 24, kProbes = 8, kFirstSlots = 1024, kMostSlots = 1 << 16;

  struct Slot {
    std::array<std::uint64_t, kMaxBytes / 8> bytes{};
    std::uint32_t size = 0;  ///< 0: free
    std::uint32_t n_tokens = 0;
  };

  static Slot slot_of(std::string_view piece) noexcept {
    Slot slot;
    slot.size = static_cast<std::uint32_t>(piece.size());
    for (std::size_t at = 0; at < piece.size(); at += 8) {
      const std::string_view word = piece.substr(at, 8);
      slot.bytes[at / 8] = pack_bytes(word.data(), word.size());
    }
    return slot;
  }

  static bool same_bytes(const Slot& a, const Slot& b) noexcept {
    std::uint64_t differ = 0;
    for (std::size_t i = 0; i < a.bytes.size(); ++i) differ |= a.bytes[i] ^ b.bytes[i];
    return differ == 0;
  }

  [[nodiscard]] std::size_t home_of(const Slot& slot) const noexcept {
    std::uint64_t hash = slot.size;
    for (std::size_t i = 0; i * 8 < slot.size; ++i) hash = mix_bits(hash ^ slot.bytes[i]);
    return mix_bits(hash) & (slots_.size() - 1);
  }

  void insert(Slot slot, std::uint32_t n_tokens) noexcept {
    slot.n_tokens = n_tokens;
    const std::size_t home = home_of(slot);
    for (std::size_t i = 0; i < kProbes; ++i) {
      Slot& place = slots_[(home + i) & (slots_.size() - 1)];
      if (place.size != 0) continue;
      place = slot;
      ++n_used_;
      return;
    }
    slots_[home] = slot;
  }

  void grow() {
    std::vector<Slot> old(slots_.size() * 2);
    old.swap(slots_);
    n_used_ = 0;
    for (const Slot& slot : old) {
      if (slot.size != 0) insert(slot, slot.n_tokens);
    }
  }

  std::vector<Slot> slots_;  ///< open addressing, a power of two
  std::size_t n_used_ = 0;
};

}  // namespace elms::inline v0::detail
