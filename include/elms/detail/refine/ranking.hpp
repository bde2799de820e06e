// In which order words are kept: what guards and forced words ask for comes first, then scores.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <span>
#include <string_view>
#include <vector>

#include "elms/detail/refine/layout.hpp"
#include "elms/refine_options.hpp"

namespace elms::inline v0::detail::refine {

enum class Tier : std::uint8_t { kAlways, kPreferred, kOrdinary, kFiltered, kNever };

[[nodiscard]] inline Guard guard_of(WordKind kind, const RefineOptions& options) noexcept {
  switch (kind) {
    case WordKind::kProtected:
      return Guard::kKeep;
    case WordKind::kMarker:
      return options.markers;
    case WordKind::kJson:
      return options.json;
    case WordKind::kCode:
      return options.code;
    case WordKind::kUrl:
      return options.urls;
    case WordKind::kNumber:
      return options.numbers;
    case WordKind::kWord:
    case WordKind::kPunctuation:
      break;
  }
  return Guard::kWhole;
}

/// Whether a word is one of `tokens`, or marks among which one of them is.
[[nodiscard]] inline bool is_one_of(std::string_view word, WordKind kind,
                                    std::span<const std::string> tokens) noexcept {
  return std::any_of(tokens.begin(), tokens.end(), [&](const std::string& token) {
    if (token.empty()) return false;
    return word == token || (kind == WordKind::kPunctuation && word.find(token) != std::string_view::npos);
  });
}

[[nodiscard]] inline bool has_digit(std::string_view word) noexcept {
  for (std::size_t at = 0; at < word.size();) {
    const Character c = read_character(word, at);
    if (is_digit(c.code)) return true;
    at += c.size;
  }
  return false;
}

/// [n_words]
[[nodiscard]] inline std::vector<Tier> tiers_of(const Layout& layout, const RefineOptions& options) {
  const Tier preferred = options.strict_protection ? Tier::kAlways : Tier::kPreferred;
  std::vector<Tier> tiers;
  tiers.reserve(layout.words().size());
  for (std::size_t i = 0; i < layout.words().size(); ++i) {
    const WordKind kind = layout.words()[i].kind;
    const std::string_view word = layout.text_of(i);
    const Guard guard = guard_of(kind, options);
    if (guard == Guard::kKeep) {
      tiers.push_back(Tier::kAlways);
    } else if (guard == Guard::kPrefer || is_one_of(word, kind, options.force_tokens) ||
               (options.force_reserve_digit && has_digit(word))) {
      tiers.push_back(preferred);
    } else {
      tiers.push_back(Tier::kOrdinary);
    }
  }
  return tiers;
}

/// Not a number counts as lowest.
[[nodiscard]] inline float comparable(float score) noexcept {
  return std::isnan(score) ? -std::numeric_limits<float>::infinity() : score;
}

/// Puts the ordinary words of the parts with the lowest mean scores behind all others: parts are taken, best
/// first, while less than `share` of the ordinary words' bytes is taken.
inline void filter_parts(const Layout& layout, std::span<const float> scores, RefineFilter filter,
                         double share, std::vector<Tier>& tiers) {
  struct Part {
    std::size_t begin, end, n_bytes;
    double mean;
  };
  std::vector<Part> parts;
  const std::vector<PromptWord>& words = layout.words();
  const auto ends_part = [&](std::size_t i) {  // between word i and the next
    if (i + 1 == words.size() || words[i].segment != words[i + 1].segment) return true;
    if (filter == RefineFilter::kSegments) return false;
    const bool marks = words[i].kind == WordKind::kPunctuation;
    return layout.begins_line(i + 1) || (marks && ends_sentence(read_character(layout.text_of(i), 0).code));
  };
  std::size_t begin = 0, n_all = 0;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (!ends_part(i)) continue;
    Part part = {begin, i + 1, 0, 0.0};
    double sum = 0.0;
    std::size_t n = 0;
    for (std::size_t w = begin; w <= i; ++w) {
      if (tiers[w] != Tier::kOrdinary) continue;
      sum += std::isfinite(scores[w]) ? static_cast<double>(scores[w]) : 0.0;
      part.n_bytes += words[w].span.size();
      ++n;
    }
    part.mean = n > 0 ? sum / static_cast<double>(n) : 0.0;
    n_all += part.n_bytes;
    if (n > 0) parts.push_back(part);
    begin = i + 1;
  }
  std::stable_sort(parts.begin(), parts.end(), [](const Part& a, const Part& b) { return a.mean > b.mean; });
  double taken = 0.0;
  for (const Part& part : parts) {
    const bool survives = taken < share * static_cast<double>(n_all);
    taken += static_cast<double>(part.n_bytes);
    for (std::size_t w = part.begin; !survives && w < part.end; ++w) {
      if (tiers[w] == Tier::kOrdinary) tiers[w] = Tier::kFiltered;
    }
  }
}

/// The words that may be kept or dropped, first those to keep: by tier, by score, by place.
[[nodiscard]] inline std::vector<std::size_t> ranked_words(std::span<const Tier> tiers,
                                                           std::span<const float> scores) {
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < tiers.size(); ++i) {
    if (tiers[i] != Tier::kAlways && tiers[i] != Tier::kNever) order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    if (tiers[a] != tiers[b]) return tiers[a] < tiers[b];
    return comparable(scores[a]) > comparable(scores[b]);
  });
  return order;
}

}  // namespace elms::inline v0::detail::refine
