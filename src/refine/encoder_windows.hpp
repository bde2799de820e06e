// How a text that is longer than the position table is cut into windows, and whose score counts where they
// overlap.
#pragma once

#include <algorithm>
#include <cstddef>

namespace elms::inline v0::detail {

struct TokenWindow {
  std::size_t begin;
  std::size_t end;  ///< past the last one
};

/// Windows of n_tokens, each of at most window_tokens (> 0), which overlap by a quarter; the last one ends
/// with the text and may overlap more. No tokens make one empty window.
class TokenWindows {
 public:
  TokenWindows(std::size_t n_tokens, std::size_t window_tokens) noexcept
      : n_tokens_(n_tokens),
        length_(window_tokens),
        step_(std::max<std::size_t>(1, window_tokens - window_tokens / 4)),
        count_(n_tokens <= window_tokens ? 1 : (n_tokens - window_tokens + step_ - 1) / step_ + 1) {}

  [[nodiscard]] std::size_t count() const noexcept { return count_; }
  [[nodiscard]] TokenWindow operator[](std::size_t i) const noexcept {
    if (count_ == 1) return {0, n_tokens_};
    const std::size_t begin = std::min(i * step_, n_tokens_ - length_);
    return {begin, begin + length_};
  }

  /// How much window i's score of a token inside it counts: by the distance to the nearer end of the window.
  [[nodiscard]] static float weight(const TokenWindow& window, std::size_t token) noexcept {
    return static_cast<float>(std::min(token - window.begin + 1, window.end - token));
  }
  /// The sum of the weights of all windows that a token is in.
  [[nodiscard]] float total_weight(std::size_t token) const noexcept {
    float total = 0.0f;
    const std::size_t first = token < length_ ? 0 : (token - length_) / step_;
    for (std::size_t i = first; i < count_; ++i) {
      const TokenWindow window = (*this)[i];
      if (window.begin > token) break;
      if (token < window.end) total += weight(window, token);
    }
    return total;
  }

 private:
  std::size_t n_tokens_, length_, step_, count_;
};

}  // namespace elms::inline v0::detail
