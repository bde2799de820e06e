// Text as windows of equally many tokens that do not see each other.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "elms/tokenizer.hpp"
#include "elms/types.hpp"
#include "offline/train/decoder.hpp"

namespace elms::inline v0::offline {

struct TokenWindows {
  std::size_t length = 0;        ///< tokens of a window
  std::vector<TokenId> tokens;   ///< [n_windows, length]
  std::vector<TokenId> targets;  ///< [n_windows, length]: the next token of the window; ignored at its end

  [[nodiscard]] std::size_t n_windows() const noexcept { return length == 0 ? 0 : tokens.size() / length; }
  [[nodiscard]] std::size_t n_predicted() const noexcept {
    return length == 0 ? 0 : n_windows() * (length - 1);
  }
};

/// Windows of `length` tokens, each beginning with `bos` unless that is kNoToken; what is left over at the
/// end is dropped unless it is all there is. Empty where the text predicts nothing.
[[nodiscard]] inline TokenWindows cut_windows(std::span<const TokenId> text, TokenId bos,
                                              std::size_t length) {
  const std::size_t n_bos = bos == kNoToken ? 0 : 1;
  TokenWindows windows;
  length = std::min(length, text.size() + n_bos);
  if (length < 2) return windows;
  windows.length = length;
  for (std::size_t begin = 0; begin + (length - n_bos) <= text.size(); begin += length - n_bos) {
    if (n_bos == 1) windows.tokens.push_back(bos);
    const auto first = text.begin() + static_cast<std::ptrdiff_t>(begin);
    windows.tokens.insert(windows.tokens.end(), first, first + static_cast<std::ptrdiff_t>(length - n_bos));
  }
  windows.targets.assign(windows.tokens.size(), train::kIgnoredTarget);
  for (std::size_t i = 0; i + 1 < windows.tokens.size(); ++i) {
    if ((i + 1) % length != 0) windows.targets[i] = windows.tokens[i + 1];
  }
  return windows;
}

/// At most max_tokens of the beginning of a text, without special tokens.
[[nodiscard]] inline std::vector<TokenId> first_tokens(const Tokenizer& tokenizer, std::string_view text,
                                                       std::size_t max_tokens) {
  constexpr std::size_t kBytesPerToken = 16;  // more than natural text needs
  std::vector<TokenId> tokens =
      tokenizer.encode(text.substr(0, max_tokens * kBytesPerToken), {.add_special = false});
  tokens.resize(std::min(tokens.size(), max_tokens));
  return tokens;
}

/// The first n windows.
[[nodiscard]] inline TokenWindows first_windows(const TokenWindows& windows, std::size_t n) {
  const auto end = static_cast<std::ptrdiff_t>(std::min(n, windows.n_windows()) * windows.length);
  return {windows.length,
          {windows.tokens.begin(), windows.tokens.begin() + end},
          {windows.targets.begin(), windows.targets.begin() + end}};
}

/// Windows in batches of one shape; the last batch is filled up with copies of its first window, whose
/// targets are ignored.
class WindowBatches {
 public:
  WindowBatches(const TokenWindows& windows, std::size_t max_batch_tokens) : windows_(windows) {
    const std::size_t fitting = std::max<std::size_t>(1, max_batch_tokens / windows.length);
    shape_ = {std::min(fitting, windows.n_windows()), windows.length};
  }

  struct Batch {
    std::vector<TokenId> tokens, targets;  ///< [shape.n_tokens()]
    std::size_t n_windows = 0;             ///< that are real; they come first
    std::size_t n_predicted = 0;
  };

  [[nodiscard]] train::BatchShape shape() const noexcept { return shape_; }
  [[nodiscard]] std::size_t size() const noexcept {
    return (windows_.n_windows() + shape_.n_sequences - 1) / shape_.n_sequences;
  }

  [[nodiscard]] Batch at(std::size_t i) const {
    Batch batch;
    const std::size_t first = i * shape_.n_sequences, length = windows_.length;
    batch.n_windows = std::min(shape_.n_sequences, windows_.n_windows() - first);
    batch.n_predicted = batch.n_windows * (length - 1);
    const auto copy = [&](const std::vector<TokenId>& from, std::size_t window, std::vector<TokenId>& to) {
      const auto begin = from.begin() + static_cast<std::ptrdiff_t>(window * length);
      to.insert(to.end(), begin, begin + static_cast<std::ptrdiff_t>(length));
    };
    for (std::size_t w = 0; w < shape_.n_sequences; ++w) {
      copy(windows_.tokens, w < batch.n_windows ? first + w : first, batch.tokens);
      if (w < batch.n_windows) copy(windows_.targets, first + w, batch.targets);
    }
    batch.targets.resize(shape_.n_tokens(), train::kIgnoredTarget);
    return batch;
  }

 private:
  const TokenWindows& windows_;
  train::BatchShape shape_;
};

}  // namespace elms::inline v0::offline
