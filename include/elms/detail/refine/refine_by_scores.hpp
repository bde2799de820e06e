// The steps of refine_by_scores() (refine.hpp).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "elms/detail/error.hpp"
#include "elms/detail/refine/budget_search.hpp"
#include "elms/detail/refine/layout.hpp"
#include "elms/detail/refine/ranking.hpp"
#include "elms/detail/refine/words.hpp"
#include "elms/refine_options.hpp"
#include "elms/segment.hpp"
#include "elms/status.hpp"
#include "elms/tokenizer.hpp"

namespace elms::inline v0::detail::refine {

/// Words of which equal ones side by side shall be one: [n_words]; empty where the options do not ask for it.
[[nodiscard]] inline std::vector<std::uint8_t> collapsing_words(const Layout& layout,
                                                                std::span<const Tier> tiers,
                                                                const RefineOptions& options) {
  if (!options.drop_consecutive) return {};
  std::vector<std::uint8_t> marks(layout.words().size(), 0);
  for (std::size_t i = 0; i < marks.size(); ++i) {
    const WordKind kind = layout.words()[i].kind;
    const bool wanted =
        kind == WordKind::kPunctuation || is_one_of(layout.text_of(i), kind, options.force_tokens);
    marks[i] = wanted && tiers[i] != Tier::kAlways ? 1 : 0;
  }
  return marks;
}

/// Takes the words out of `tiers` that a segment's own rate leaves no room for.
inline void apply_own_rate(const Segment& segment, std::size_t offset, std::size_t first, std::size_t end,
                           const Layout& whole, std::span<const float> scores, TokenizerRun& target,
                           const EncodeOptions& encode, std::vector<Tier>& tiers) {
  std::vector<PromptWord> words(whole.words().begin() + static_cast<std::ptrdiff_t>(first),
                                whole.words().begin() + static_cast<std::ptrdiff_t>(end));
  for (PromptWord& word : words) word.span = {word.span.begin - offset, word.span.end - offset};
  const Layout layout(segment.text, std::move(words));
  const std::span<Tier> own_tiers = std::span(tiers).subspan(first, end - first);
  const EncodeOptions own_encode = {.add_special = false, .parse_special = encode.parse_special};
  const std::size_t n_before = target.count(segment.text, own_encode);
  const auto budget =
      static_cast<std::size_t>(std::floor(*segment.keep_ratio * static_cast<double>(n_before) + 1e-9));
  BudgetSearch search(layout, target, own_encode, {});
  const std::size_t n_always =
      search.begin(own_tiers, ranked_words(own_tiers, scores.subspan(first, end - first)));
  if (n_always < budget) search.fill(budget, n_always, n_before);
  const std::vector<std::uint8_t> kept = search.shown();
  for (std::size_t i = 0; i < kept.size(); ++i) {
    if (kept[i] == 0) own_tiers[i] = Tier::kNever;
  }
}

[[nodiscard]] inline Status check_prompt(std::span<const Segment> prompt, std::size_t n_bytes) {
  if (n_bytes == 0)
    return invalid_argument("refine: the prompt is empty: 0 bytes in ", prompt.size(), " segments");
  for (std::size_t i = 0; i < prompt.size(); ++i) {
    const std::optional<double>& ratio = prompt[i].keep_ratio;
    if (ratio.has_value() && !(*ratio >= 0.0 && *ratio <= 1.0)) {
      return invalid_argument("refine: segment ", i, " has a keep ratio of ", *ratio, ", expected 0 to 1");
    }
  }
  return {};
}

inline void apply_own_rates(std::span<const Segment> prompt, const Layout& layout,
                            std::span<const float> scores, TokenizerRun& target, const EncodeOptions& encode,
                            std::vector<Tier>& tiers) {
  std::size_t offset = 0, word = 0;
  for (std::size_t i = 0; i < prompt.size(); ++i) {
    const std::size_t first = word;
    while (word < layout.words().size() && layout.words()[word].segment == static_cast<std::int32_t>(i))
      ++word;
    if (prompt[i].keep_ratio.has_value() && prompt[i].may_lose_words() && word > first) {
      apply_own_rate(prompt[i], offset, first, word, layout, scores, target, encode, tiers);
    }
    offset += prompt[i].text.size();
  }
}

/// Text by segment.
[[nodiscard]] inline std::vector<std::string> split_by_segment(std::span<const Segment> prompt,
                                                               std::string_view text,
                                                               std::span<const ByteSpan> kept) {
  std::vector<std::string> parts(prompt.size());
  std::size_t begin = 0, next = 0;
  for (std::size_t i = 0; i < prompt.size(); ++i) {
    const std::size_t end = begin + prompt[i].text.size();
    while (next < kept.size() && kept[next].begin < end) {
      const std::size_t from = std::max(kept[next].begin, begin), to = std::min(kept[next].end, end);
      if (from < to) parts[i].append(text.substr(from, to - from));
      if (kept[next].end > end) break;  // goes on in the next segment
      ++next;
    }
    begin = end;
  }
  return parts;
}

inline void describe(const Layout& layout, std::span<const float> scores, std::span<const std::uint8_t> kept,
                     RefinedPrompt& out) {
  out.words.reserve(kept.size());
  for (std::size_t i = 0; i < kept.size(); ++i) {
    const PromptWord& word = layout.words()[i];
    out.words.push_back({word.span, word.segment, word.kind, scores[i], kept[i] != 0});
  }
}

[[nodiscard]] inline Status does_not_fit(std::span<const Tier> tiers, std::size_t n_always,
                                         std::size_t n_before, std::size_t budget) {
  const auto n_protected = static_cast<std::size_t>(std::count(tiers.begin(), tiers.end(), Tier::kAlways));
  if (n_protected == tiers.size()) {
    return invalid_argument("refine: nothing may be dropped: the prompt has ", n_before,
                            " tokens, all protected, and the budget is ", budget);
  }
  return invalid_argument("refine: what is protected takes ", n_always, " of the prompt's ", n_before,
                          " tokens, and the budget is ", budget);
}

/// Drops whole parts as the options ask for: returns places for ranked_words(), or puts words into
/// Tier::kFiltered.
[[nodiscard]] inline std::vector<std::size_t> filter_parts(
    std::span<const Segment> prompt, const Layout& layout, std::span<const float> scores,
    const RefinedPrompt& counts, const RefineOptions& options, std::vector<Tier>& tiers) {
  if (options.filter == RefineFilter::kNone || counts.tokens_before <= counts.budget_tokens) return {};
  const bool by_question = options.filter == RefineFilter::kQuestion;
  std::vector<Part> parts = parts_of(layout, scores, options.filter == RefineFilter::kSegments, tiers);
  if (!sort_parts(prompt, layout, by_question, parts)) return {};
  if (by_question && options.filter_keep_ratio == 0.0) return part_places(parts, tiers.size());
  const double left = static_cast<double>(counts.budget_tokens) /
                      static_cast<double>(std::max<std::size_t>(1, counts.tokens_before));
  const double share =
      options.filter_keep_ratio > 0.0 ? options.filter_keep_ratio : std::sqrt(std::min(1.0, left));
  drop_parts(parts, share, tiers);
  return {};
}

[[nodiscard]] inline Result<SplitPrompt> split_prompt(std::span<const Segment> prompt,
                                                      const RefineOptions& options) {
  SplitPrompt split;
  split.text = joined_text(prompt);
  ELMS_RETURN_IF_ERROR(check_prompt(prompt, split.text.size()));
  split.words = split_words(prompt, split.text, options);
  return split;
}

/// All of them: refine_by_scores() but for the memory that may run out. `split`: of the prompt.
[[nodiscard]] inline Result<RefinedPrompt> refine_now(std::span<const Segment> prompt, SplitPrompt split,
                                                      std::span<const float> scores, const Tokenizer& target,
                                                      const RefineBudget& budget,
                                                      const RefineOptions& options) {
  if (!(options.filter_keep_ratio >= 0.0 && options.filter_keep_ratio <= 1.0)) {
    return invalid_argument("refine: a filter's keep ratio of ", options.filter_keep_ratio,
                            ", expected 0 to 1");
  }
  const std::string& text = split.text;
  const Layout layout(text, std::move(split.words));
  if (scores.size() != layout.words().size()) {
    return invalid_argument("refine: ", scores.size(), " scores for ", layout.words().size(), " words");
  }
  RefinedPrompt out;
  const std::unique_ptr<TokenizerRun> tokenizer = target.start_run();
  out.tokens_before = tokenizer->count(text, options.encode);
  ELMS_ASSIGN_OR_RETURN(out.budget_tokens, budget.resolve(out.tokens_before));

  std::vector<Tier> tiers = tiers_of(layout, options);
  apply_own_rates(prompt, layout, scores, *tokenizer, options.encode, tiers);
  const std::vector<std::size_t> places = filter_parts(prompt, layout, scores, out, options, tiers);
  const bool all_may_stay = std::find(tiers.begin(), tiers.end(), Tier::kNever) == tiers.end();
  SpanText rendered;
  if (out.tokens_before <= out.budget_tokens && all_may_stay) {
    rendered.append(text, {0, text.size()});
    out.tokens_after = out.tokens_before;
    describe(layout, scores, std::vector<std::uint8_t>(tiers.size(), 1), out);
  } else {
    const std::vector<std::uint8_t> collapses = collapsing_words(layout, tiers, options);
    BudgetSearch search(layout, *tokenizer, options.encode, collapses);
    const std::size_t n_always = search.begin(tiers, ranked_words(tiers, scores, places));
    if (n_always > out.budget_tokens) {
      if (!budget.yields_to_protected())
        return does_not_fit(tiers, n_always, out.tokens_before, out.budget_tokens);
      out.budget_tokens = n_always;
    }
    out.tokens_after = search.fill(out.budget_tokens, n_always, out.tokens_before);
    search.render(rendered);
    describe(layout, scores, search.shown(), out);
  }
  out.text = std::move(rendered.text);
  out.kept = std::move(rendered.spans);
  out.segments = split_by_segment(prompt, text, out.kept);
  return out;
}

}  // namespace elms::inline v0::detail::refine
