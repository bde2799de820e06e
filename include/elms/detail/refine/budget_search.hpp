// Which words fit into a budget: the longest prefix of an order of words whose text, encoded as the LLM
// would, does not exceed it.
//
// Counts of whole texts are exact and cost a pass over the text each, so few are made, and none twice: the
// search guesses by the bytes of the words and narrows a bracket, a few words' worth of tokens are then
// placed by counting the few words around each, and whole texts have the last word.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "elms/detail/refine/layout.hpp"
#include "elms/detail/refine/ranking.hpp"
#include "elms/tokenizer.hpp"

namespace elms::inline v0::detail::refine {

class BudgetSearch {
 public:
  /// All must outlive it. `collapses`: [n_words], words of which equal ones side by side are one; empty:
  /// none.
  BudgetSearch(const Layout& layout, TokenizerRun& tokenizer, const EncodeOptions& encode,
               std::span<const std::uint8_t> collapses)
      : layout_(layout), tokenizer_(tokenizer), encode_(encode), collapses_(collapses) {}

  /// Starts with the words that are always kept; returns the tokens of that text.
  std::size_t begin(std::span<const Tier> tiers, std::vector<std::size_t> order) {
    order_ = std::move(order);
    kept_.assign(tiers.size(), 0);
    for (std::size_t i = 0; i < tiers.size(); ++i) kept_[i] = tiers[i] == Tier::kAlways ? 1 : 0;
    n_prefix_ = 0;
    return count();
  }

  /// Keeps as many words of the order as fit; `n_always` is what begin() returned, at most the budget, and
  /// `n_source` the tokens of the layout's text. Returns the tokens of the text.
  std::size_t fill(std::size_t budget, std::size_t n_always, std::size_t n_source) {
    set_prefix(order_.size());
    const bool whole = collapses_.empty() && std::find(kept_.begin(), kept_.end(), 0) == kept_.end();
    const std::size_t n_all = whole ? n_source : count();
    if (n_all <= budget) return n_all;
    const std::size_t n_tokens = find_prefix(budget, n_always, n_all);
    place_more(budget, n_tokens);
    return settle(budget, added_.empty() ? n_tokens : count());
  }

  /// [n_words]; a word that its equal neighbour stands for is not.
  [[nodiscard]] std::vector<std::uint8_t> shown() const {
    std::vector<std::uint8_t> marks = kept_;
    collapse(marks);
    return marks;
  }
  void render(SpanText& out) const { layout_.render(shown(), out); }

 private:
  // A guess is good enough when this many tokens are left, or words looked at in vain.
  static constexpr std::size_t kCloseTokens = 8, kMaxMisses = 256, kMaxSettled = 64;

  void collapse(std::vector<std::uint8_t>& marks) const {
    if (collapses_.empty()) return;
    std::size_t last = Layout::kNone;
    for (std::size_t i = 0; i < marks.size(); ++i) {
      if (marks[i] == 0) continue;
      const bool same =
          last != Layout::kNone && collapses_[i] != 0 && layout_.text_of(last) == layout_.text_of(i);
      if (same) marks[i] = 0;
      if (!same) last = i;
    }
  }

  [[nodiscard]] std::size_t count() {
    if (collapses_.empty()) {
      layout_.render(kept_, scratch_);
    } else {
      render(scratch_);
    }
    return tokenizer_.count(scratch_.text, encode_);
  }

  void set_prefix(std::size_t n) {
    for (; n_prefix_ < n; ++n_prefix_) kept_[order_[n_prefix_]] = 1;
    for (; n_prefix_ > n; --n_prefix_) kept_[order_[n_prefix_ - 1]] = 0;
  }

  /// Leaves a prefix that fits and is close; returns its tokens.
  std::size_t find_prefix(std::size_t budget, std::size_t n_low, std::size_t n_high) {
    std::vector<std::size_t> bytes;  // of prefixes, a blank for each word
    bytes.reserve(order_.size() + 1);
    bytes.push_back(0);
    for (const std::size_t word : order_)
      bytes.push_back(bytes.back() + layout_.words()[word].span.size() + 1);
    std::size_t low = 0, high = order_.size();
    for (int round = 0; high - low > 1 && budget - n_low > kCloseTokens; ++round) {
      std::size_t middle = low + (high - low) / 2;
      if (round % 3 != 2 && n_high > n_low) {
        const double share = static_cast<double>(budget - n_low) / static_cast<double>(n_high - n_low);
        const double target =
            static_cast<double>(bytes[low]) + share * static_cast<double>(bytes[high] - bytes[low]);
        const auto at = std::lower_bound(bytes.begin(), bytes.end(), static_cast<std::size_t>(target));
        middle = static_cast<std::size_t>(at - bytes.begin());
        middle -= middle > low + 2 ? 2 : 0;  // rather a little too few: these are placed one by one
      }
      middle = std::clamp(middle, low + 1, high - 1);
      set_prefix(middle);
      const std::size_t n = count();
      if (n <= budget) {
        low = middle;
        n_low = n;
      } else {
        high = middle;
        n_high = n;
      }
    }
    set_prefix(low);
    return n_low;
  }

  /// Words after the prefix, by rank, where what they add to the text around them fits.
  void place_more(std::size_t budget, std::size_t n_tokens) {
    added_.clear();
    std::size_t misses = 0;
    for (std::size_t i = n_prefix_; i < order_.size() && n_tokens < budget && misses < kMaxMisses; ++i) {
      const std::size_t with = local_count(order_[i], true);
      const std::size_t without = local_count(order_[i], false);
      if (n_tokens + with > budget + without) {
        ++misses;
        continue;
      }
      kept_[order_[i]] = 1;
      added_.push_back(order_[i]);
      n_tokens = n_tokens + with - without;
    }
  }

  /// Tokens of a word and two kept ones on each side.
  [[nodiscard]] std::size_t local_count(std::size_t word, bool with) {
    std::size_t around[5];
    std::size_t n = 0;
    for (std::size_t i = word; i > 0 && n < 2; --i) {
      if (kept_[i - 1] != 0) around[n++] = i - 1;
    }
    std::reverse(around, around + n);
    if (with) around[n++] = word;
    const std::size_t n_left = n;
    for (std::size_t i = word + 1; i < kept_.size() && n < n_left + 2; ++i) {
      if (kept_[i] != 0) around[n++] = i;
    }
    layout_.render_words({around, n}, scratch_);
    return tokenizer_.count(scratch_.text, {.add_special = false, .parse_special = encode_.parse_special});
  }

  /// Makes exact what local counts said, of a text of n tokens: nothing over, and the best word that is not
  /// kept would be.
  std::size_t settle(std::size_t budget, std::size_t n) {
    for (; n > budget && !added_.empty(); n = count()) {
      kept_[added_.back()] = 0;
      added_.pop_back();
    }
    std::size_t next = 0;
    for (std::size_t round = 0; round < kMaxSettled; ++round) {
      while (next < order_.size() && kept_[order_[next]] != 0) ++next;
      if (next == order_.size()) break;
      kept_[order_[next]] = 1;
      const std::size_t more = count();
      if (more > budget) {
        kept_[order_[next]] = 0;
        break;
      }
      n = more;
    }
    return n;
  }

  const Layout& layout_;
  TokenizerRun& tokenizer_;
  EncodeOptions encode_;
  std::span<const std::uint8_t> collapses_;
  std::vector<std::size_t> order_;
  std::vector<std::uint8_t> kept_;  ///< [n_words]
  std::size_t n_prefix_ = 0;        ///< words of the order that are kept, from its start
  std::vector<std::size_t> added_;  ///< words kept beyond the prefix
  SpanText scratch_;
};

}  // namespace elms::inline v0::detail::refine
