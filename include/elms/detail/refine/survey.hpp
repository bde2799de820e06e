// What can be said of a prompt's words before a budget is known.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "elms/detail/refine/layout.hpp"
#include "elms/detail/refine/ranking.hpp"
#include "elms/detail/refine/words.hpp"
#include "elms/refine_options.hpp"
#include "elms/segment.hpp"

namespace elms::inline v0::detail::refine {

struct Survey {
  /// Bytes of the prompt that stay whatever the budget is: protected segments, and what guards keep of the
  /// others. Ascending, apart from each other.
  std::vector<ByteSpan> always;
  /// Whether RefineFilter::kQuestion knows which parts come first, and no segment's own rate drops words by
  /// their scores before: scores then matter only within one line or sentence.
  bool question_says = false;
};

[[nodiscard]] inline bool may_order_by_question(std::span<const Segment> prompt,
                                                const RefineOptions& options) noexcept {
  if (options.filter != RefineFilter::kQuestion || options.filter_keep_ratio > 0.0) return false;
  return std::none_of(prompt.begin(), prompt.end(), [](const Segment& segment) {
    return segment.may_lose_words() && segment.keep_ratio.has_value();
  });
}

/// Linear in the text; tens of microseconds for some hundred words.
[[nodiscard]] inline Survey survey(std::span<const Segment> prompt, const RefineOptions& options) {
  Survey found;
  const std::string text = joined_text(prompt);
  const Layout layout(text, split_words(prompt, text, options));
  const std::vector<Tier> tiers = tiers_of(layout, options);
  for (std::size_t i = 0; i < tiers.size(); ++i) {
    if (tiers[i] != Tier::kAlways) continue;
    const ByteSpan span = layout.words()[i].span;
    // The gap between two neighbours that stay, stays.
    if (i > 0 && tiers[i - 1] == Tier::kAlways) {
      found.always.back().end = span.end;
    } else {
      found.always.push_back(span);
    }
  }
  if (may_order_by_question(prompt, options)) {
    const std::vector<float> scores(tiers.size(), 0.0f);
    std::vector<Part> parts = parts_of(layout, scores, false, tiers);
    found.question_says = sort_parts(prompt, layout, true, parts);
  }
  return found;
}

}  // namespace elms::inline v0::detail::refine
