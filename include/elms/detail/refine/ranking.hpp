// In which order words are kept: what guards and forced words ask for comes first, then whole parts, then
// scores.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "elms/detail/refine/layout.hpp"
#include "elms/detail/refine/relevance.hpp"
#include "elms/refine_options.hpp"
#include "elms/segment.hpp"

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

/// Neighbouring words that stand or fall together: a line, a sentence, a segment.
struct Part {
  std::size_t begin, end;  ///< words
  std::size_t n_bytes;     ///< of its ordinary words
  double worth;            ///< mean of their scores, or what it has in common with the question
};

/// The parts that have ordinary words.
[[nodiscard]] inline std::vector<Part> parts_of(const Layout& layout, std::span<const float> scores,
                                                bool whole_segments, std::span<const Tier> tiers) {
  const std::vector<PromptWord>& words = layout.words();
  const auto ends_part = [&](std::size_t i) {  // between word i and the next
    if (i + 1 == words.size() || words[i].segment != words[i + 1].segment) return true;
    if (whole_segments) return false;
    const bool marks = words[i].kind == WordKind::kPunctuation;
    return layout.begins_line(i + 1) || (marks && ends_sentence(read_character(layout.text_of(i), 0).code));
  };
  std::vector<Part> parts;
  std::size_t begin = 0;
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
    begin = i + 1;
    if (n == 0) continue;
    part.worth = sum / static_cast<double>(n);
    parts.push_back(part);
  }
  return parts;
}

/// All that is marked as the question, one after the other.
[[nodiscard]] inline std::string question_of(std::span<const Segment> prompt, const Layout& layout) {
  std::string question;
  for (std::size_t i = 0; i < layout.words().size(); ++i) {
    const PromptWord& word = layout.words()[i];
    if (word.kind != WordKind::kProtected) continue;
    const Segment& segment = prompt[static_cast<std::size_t>(word.segment)];
    // In a segment that may lose words only the last line is protected, as the question.
    if (segment.role == SegmentRole::kQuestion || segment.may_lose_words()) {
      question.append(layout.text_of(i)).append("\n");
    }
  }
  return question;
}

/// Best first: by what parts have in common with the question and then, or only, by their words' scores.
/// False where there is nothing in common.
inline bool sort_parts(std::span<const Segment> prompt, const Layout& layout, bool by_question,
                       std::vector<Part>& parts) {
  std::stable_sort(parts.begin(), parts.end(),
                   [](const Part& a, const Part& b) { return a.worth > b.worth; });
  if (!by_question) return true;
  std::vector<std::string_view> texts;
  texts.reserve(parts.size());
  for (const Part& part : parts) {
    const std::size_t first = layout.words()[part.begin].span.begin;
    texts.push_back(layout.text().substr(first, layout.words()[part.end - 1].span.end - first));
  }
  const std::vector<double> relevances = relevance(texts, question_of(prompt, layout));
  if (relevances.empty()) return false;
  for (std::size_t i = 0; i < parts.size(); ++i) parts[i].worth = relevances[i];
  std::stable_sort(parts.begin(), parts.end(),
                   [](const Part& a, const Part& b) { return a.worth > b.worth; });
  return true;
}

/// Puts the ordinary words of the last parts behind all others: parts survive while less than `share` of the
/// ordinary words' bytes is taken.
inline void drop_parts(std::span<const Part> parts, double share, std::span<Tier> tiers) {
  std::size_t n_all = 0;
  for (const Part& part : parts) n_all += part.n_bytes;
  double taken = 0.0;
  for (const Part& part : parts) {
    const bool survives = taken < share * static_cast<double>(n_all);
    taken += static_cast<double>(part.n_bytes);
    for (std::size_t w = part.begin; !survives && w < part.end; ++w) {
      if (tiers[w] == Tier::kOrdinary) tiers[w] = Tier::kFiltered;
    }
  }
}

/// The place of each word's part, best first: [n_words].
[[nodiscard]] inline std::vector<std::size_t> part_places(std::span<const Part> parts, std::size_t n_words) {
  std::vector<std::size_t> places(n_words, 0);
  for (std::size_t i = 0; i < parts.size(); ++i) {
    std::fill(places.begin() + static_cast<std::ptrdiff_t>(parts[i].begin),
              places.begin() + static_cast<std::ptrdiff_t>(parts[i].end), i);
  }
  return places;
}

/// The words that may be kept or dropped, first those to keep: by tier, by the place of their part where
/// `places` ([n_words]) is not empty, by score, by place in the text.
[[nodiscard]] inline std::vector<std::size_t> ranked_words(std::span<const Tier> tiers,
                                                           std::span<const float> scores,
                                                           std::span<const std::size_t> places = {}) {
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < tiers.size(); ++i) {
    if (tiers[i] != Tier::kAlways && tiers[i] != Tier::kNever) order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    if (tiers[a] != tiers[b]) return tiers[a] < tiers[b];
    if (!places.empty() && tiers[a] == Tier::kOrdinary && places[a] != places[b])
      return places[a] < places[b];
    return comparable(scores[a]) > comparable(scores[b]);
  });
  return order;
}

}  // namespace elms::inline v0::detail::refine
