// Merging neighbouring symbols, best pair first, until no pair is left: what SentencePiece and BPE have in
// common.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "elms/types.hpp"

namespace elms::inline v0::detail {

/// A stretch of the piece that is one token so far.
struct Symbol {
  std::uint32_t begin = 0;
  std::uint32_t size = 0;  ///< bytes; 0 once it was merged into the symbol before it
  std::int32_t previous = -1;
  std::int32_t next = -1;
  TokenId id = kNoToken;
};

/// What two neighbours would become. Lower ranks go first.
struct MergeResult {
  TokenId id = kNoToken;
  std::uint32_t rank = 0;
};

/// The symbols of one piece as a linked list, and a heap of the pairs that may merge. A pair whose symbols
/// have changed since it was queued is told by their sizes. O(n log n).
class MergeQueue {
 public:
  void clear() noexcept { symbols_.clear(); }
  void append(std::uint32_t begin, std::uint32_t size, TokenId id) {
    const auto index = static_cast<std::int32_t>(symbols_.size());
    if (index != 0) symbols_.back().next = index;
    symbols_.push_back({begin, size, index - 1, -1, id});
  }

  /// `find(left, right)` says what two neighbours become; its id is kNoToken when they stay apart.
  template <typename FindMerge>
  void merge_all(const FindMerge& find) {
    heap_.clear();
    for (std::size_t i = 0; i + 1 < symbols_.size(); ++i) queue(static_cast<std::int32_t>(i), find, false);
    std::make_heap(heap_.begin(), heap_.end());
    while (!heap_.empty()) {
      const Pair pair = heap_.front();
      std::pop_heap(heap_.begin(), heap_.end());
      heap_.pop_back();
      Symbol& left = symbols_[static_cast<std::size_t>(pair.left)];
      if (left.size == 0 || left.next < 0) continue;
      Symbol& right = symbols_[static_cast<std::size_t>(left.next)];
      if (left.size != pair.left_size || right.size != pair.right_size) continue;
      left.size += right.size;
      left.id = pair.id;
      right.size = 0;
      left.next = right.next;
      if (left.next >= 0) symbols_[static_cast<std::size_t>(left.next)].previous = pair.left;
      if (left.previous >= 0) queue(left.previous, find, true);
      queue(pair.left, find, true);
    }
  }

  /// Calls `use(symbol)` for what is left, in order.
  template <typename Use>
  void for_each(const Use& use) const {
    for (std::int32_t i = symbols_.empty() ? -1 : 0; i >= 0; i = symbols_[static_cast<std::size_t>(i)].next) {
      use(symbols_[static_cast<std::size_t>(i)]);
    }
  }

 private:
  struct Pair {
    std::uint32_t rank;
    std::int32_t left;
    std::uint32_t left_size;
    std::uint32_t right_size;
    TokenId id;
    /// Worse than: the heap gives the lowest rank first, and of equal ranks the leftmost.
    friend bool operator<(const Pair& a, const Pair& b) noexcept {
      return a.rank != b.rank ? a.rank > b.rank : a.left > b.left;
    }
  };

  template <typename FindMerge>
  void queue(std::int32_t index, const FindMerge& find, bool sift) {
    const Symbol& left = symbols_[static_cast<std::size_t>(index)];
    if (left.next < 0) return;
    const Symbol& right = symbols_[static_cast<std::size_t>(left.next)];
    const MergeResult merged = find(left, right);
    if (merged.id == kNoToken) return;
    heap_.push_back({merged.rank, index, left.size, right.size, merged.id});
    if (sift) std::push_heap(heap_.begin(), heap_.end());
  }

  std::vector<Symbol> symbols_;
  std::vector<Pair> heap_;
};

}  // namespace elms::inline v0::detail
