// Finding stop strings in streamed text without ever showing a part of one.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace elms::inline v0::detail {

/// True for well-formed UTF-8 (Unicode 15, table 3-7): no overlong forms, no surrogates, nothing above
/// U+10FFFF.
[[nodiscard]] inline bool is_utf8(std::string_view text) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  for (std::size_t i = 0; i < text.size();) {
    const unsigned lead = byte(i);
    const std::size_t length = lead < 0x80   ? 1
                               : lead < 0xC2 ? 0
                               : lead < 0xE0 ? 2
                               : lead < 0xF0 ? 3
                               : lead < 0xF5 ? 4
                                             : 0;
    if (length == 0 || i + length > text.size()) return false;
    for (std::size_t k = 1; k < length; ++k) {
      if ((byte(i + k) & 0xC0u) != 0x80) return false;
    }
    if (lead == 0xE0 && byte(i + 1) < 0xA0) return false;
    if (lead == 0xED && byte(i + 1) >= 0xA0) return false;
    if (lead == 0xF0 && byte(i + 1) < 0x90) return false;
    if (lead == 0xF4 && byte(i + 1) >= 0x90) return false;
    i += length;
  }
  return true;
}

/// Watches a stream of text for any of several strings. The first that is complete, byte by byte, ends the
/// text; where several end at the same byte, the longest does. So the result does not depend on the pieces in
/// which text comes. Text that may still become a stop string is held back. Linear in the text, times the
/// number of stop strings.
class StopMatcher {
 public:
  /// No string may be empty. Where all strings and all pushed pieces are whole UTF-8 characters, so are all
  /// released pieces: what is held back starts where a stop string starts.
  explicit StopMatcher(std::span<const std::string> stop_strings) {
    patterns_.reserve(stop_strings.size());
    for (const std::string& text : stop_strings) patterns_.push_back({text, borders(text), 0});
  }

  struct Step {
    std::string released;  ///< text that is certainly no part of a stop string
    bool stopped = false;  ///< a stop string is complete; it, and what came after it, is dropped
  };

  /// Nothing may be pushed after `stopped`.
  [[nodiscard]] Step push(std::string_view piece) {
    Step step;
    for (const char c : piece) {
      held_.push_back(c);
      const std::size_t matched = advance(c);
      if (matched != 0) {
        held_.resize(held_.size() - matched);
        step.released = std::exchange(held_, {});
        step.stopped = true;
        return step;
      }
    }
    std::size_t keep = 0;
    for (const Pattern& pattern : patterns_) keep = std::max(keep, pattern.matched);
    step.released = held_.substr(0, held_.size() - keep);
    held_.erase(0, held_.size() - keep);
    return step;
  }

  /// The end of the text: what was held back is no stop string after all.
  [[nodiscard]] std::string finish() {
    for (Pattern& pattern : patterns_) pattern.matched = 0;
    return std::exchange(held_, {});
  }

 private:
  struct Pattern {
    std::string text;
    std::vector<std::size_t> borders;  // [text.size()], see borders()
    std::size_t matched;  // bytes of `text` that the stream ends with, always less than all of them
  };

  // Knuth-Morris-Pratt: for every prefix of the text, the longest proper prefix that is also its suffix.
  static std::vector<std::size_t> borders(std::string_view text) {
    std::vector<std::size_t> border(text.size(), 0);
    for (std::size_t i = 1, k = 0; i < text.size(); ++i) {
      while (k > 0 && text[i] != text[k]) k = border[k - 1];
      if (text[i] == text[k]) ++k;
      border[i] = k;
    }
    return border;
  }

  // Takes one byte; the length of the longest stop string that it completes, or zero.
  std::size_t advance(char c) {
    std::size_t longest = 0;
    for (Pattern& pattern : patterns_) {
      std::size_t k = pattern.matched;
      while (k > 0 && pattern.text[k] != c) k = pattern.borders[k - 1];
      if (pattern.text[k] == c) ++k;
      if (k == pattern.text.size()) longest = std::max(longest, k);
      pattern.matched = k;
    }
    return longest;
  }

  std::vector<Pattern> patterns_;
  std::string held_;
};

}  // namespace elms::inline v0::detail
