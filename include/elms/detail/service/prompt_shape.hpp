// The tokens of a prompt in segments, and which of them may be cut away.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "elms/chat_template.hpp"
#include "elms/planning.hpp"
#include "elms/refine_options.hpp"
#include "elms/segment.hpp"
#include "elms/tokenizer.hpp"

namespace elms::inline v0::detail {

struct PromptShape {
  std::vector<TokenId> tokens;
  std::vector<std::uint8_t> compressible;  ///< [tokens], by the byte that each ends with
  std::vector<std::size_t>
      ends;  ///< [tokens], bytes of the prompt up to the end of each, as well as bytes can tell

  /// `always`: bytes of the prompt that no budget cuts away, ascending (refine::Survey). `add_special` is for
  /// prompts that no chat template has given their first token.
  PromptShape(const Tokenizer& tokenizer, std::span<const Segment> prompt, std::span<const ByteSpan> always,
              bool add_special)
      : tokens(encode_segments(tokenizer, prompt, add_special)) {
    std::size_t n_bytes = 0;
    for (const Segment& segment : prompt) n_bytes += segment.text.size();
    std::size_t at = 0, span = 0;
    for (const TokenId token : tokens) {
      const bool added = at == 0 && add_special && tokenizer.is_control(token);
      const std::size_t end = std::min(n_bytes, at + (added ? 0 : tokenizer.token_bytes(token, true).size()));
      // By the last byte: the first is often the space before a word.
      const std::size_t byte = end > at ? end - 1 : at;
      while (span < always.size() && byte >= always[span].end) ++span;
      const bool stays = added || n_bytes == 0 || (span < always.size() && byte >= always[span].begin);
      compressible.push_back(stays ? 0 : 1);
      ends.push_back(at = end);
    }
  }

  [[nodiscard]] std::int32_t n_compressible(std::size_t n_first) const noexcept {
    return static_cast<std::int32_t>(
        std::count(compressible.begin(), compressible.begin() + static_cast<std::ptrdiff_t>(n_first), 1));
  }

  /// Counts of the whole prompt, and of its first n_cached tokens.
  void describe(std::int32_t n_cached, PlanRequest& request) const noexcept {
    const auto cached = static_cast<std::size_t>(n_cached);
    request.n_compressible_tokens = n_compressible(tokens.size());
    request.n_protected_tokens = static_cast<std::int32_t>(tokens.size()) - request.n_compressible_tokens;
    request.n_cached_tokens = n_cached;
    request.n_cached_compressible_tokens = n_compressible(cached);
    const auto head =
        std::find(compressible.begin(), compressible.begin() + static_cast<std::ptrdiff_t>(cached), 1);
    request.n_cached_head_tokens = static_cast<std::int32_t>(head - compressible.begin());
  }
};

/// The prompt with its first n_bytes protected: what a plan that reuses the cache must not shorten.
[[nodiscard]] inline std::vector<Segment> with_protected_head(std::span<const Segment> prompt,
                                                              std::size_t n_bytes) {
  std::vector<Segment> out;
  for (const Segment& segment : prompt) {
    const std::size_t n = std::min(n_bytes, segment.text.size());
    n_bytes -= n;
    if (n == 0 || !segment.may_lose_words()) {
      out.push_back(segment);
      continue;
    }
    // A word that lies across the border stays whole.
    std::size_t cut = n;
    while (cut < segment.text.size() && static_cast<unsigned char>(segment.text[cut]) > ' ') ++cut;
    Segment head = segment, tail = segment;
    head.text = segment.text.substr(0, cut);
    head.compressible = false;
    tail.text = segment.text.substr(cut);
    out.push_back(std::move(head));
    if (!tail.text.empty()) out.push_back(std::move(tail));
  }
  return out;
}

}  // namespace elms::inline v0::detail
