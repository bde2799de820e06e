// Cutting a prompt down to a budget by the importance of its words, whoever says what that is.
//
// Words are kept or dropped whole, by spans of the source text: the result is a subsequence of the prompt's
// bytes, and what is protected is in it byte for byte. PromptRefiner (prompt_refiner.hpp) is the usual source
// of scores.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "elms/detail/refine/refine_by_scores.hpp"
#include "elms/refine_options.hpp"
#include "elms/segment.hpp"
#include "elms/status.hpp"
#include "elms/tokenizer.hpp"

namespace elms::inline v0 {

/// The words of a prompt in order, which scores are given for. Whitespace between them is no word.
[[nodiscard]] std::vector<PromptWord> prompt_words(std::span<const Segment> prompt,
                                                   const RefineOptions& options = {});

/// Keeps the words of the highest scores (of equal ones the earlier) such that the text that results is at
/// most the budget in `target`'s tokens and one more word, the best that was dropped, would be over it. Less
/// is kept only where Segment::keep_ratio says so; all is kept, byte for byte, where it fits.
///
/// `scores`: [number of prompt_words(prompt, options)], higher is more important; what is not a number counts
/// as lowest. Whitespace: between two kept words that were neighbours it is as it was; where words between
/// went away one gap of theirs stays, the one with the most line breaks, cut down to one space, or one line
/// break, or one blank line, with the indentation of the line that follows. A line without a kept word
/// disappears.
///
/// kInvalidArgument: an empty prompt, a budget or ratio that cannot be, a count of scores that does not fit,
/// or a budget that protected text alone exceeds; the message names the numbers. Linear in the text but for
/// one logarithm. Deterministic. Any thread.
[[nodiscard]] Result<RefinedPrompt> refine_by_scores(std::span<const Segment> prompt,
                                                     std::span<const float> scores, const Tokenizer& target,
                                                     const RefineBudget& budget,
                                                     const RefineOptions& options = {});

inline std::vector<PromptWord> prompt_words(std::span<const Segment> prompt, const RefineOptions& options) {
  const std::string text = detail::refine::joined_text(prompt);
  return detail::refine::split_words(prompt, text, options);
}

namespace detail::refine {

inline Result<RefinedPrompt> refine_now(std::span<const Segment> prompt, std::span<const float> scores,
                                        const Tokenizer& target, const RefineBudget& budget,
                                        const RefineOptions& options) {
  const std::string text = joined_text(prompt);
  ELMS_RETURN_IF_ERROR(check_prompt(prompt, text.size()));
  if (!(options.filter_keep_ratio >= 0.0 && options.filter_keep_ratio <= 1.0)) {
    return invalid_argument("refine: a filter's keep ratio of ", options.filter_keep_ratio,
                                    ", expected 0 to 1");
  }
  const Layout layout(text, split_words(prompt, text, options));
  if (scores.size() != layout.words().size()) {
    return invalid_argument("refine: ", scores.size(), " scores for ", layout.words().size(),
                                    " words");
  }
  RefinedPrompt out;
  out.tokens_before = target.encode(text, options.encode).size();
  ELMS_ASSIGN_OR_RETURN(out.budget_tokens, budget.resolve(out.tokens_before));

  std::vector<Tier> tiers = tiers_of(layout, options);
  apply_own_rates(prompt, layout, scores, target, options.encode, tiers);
  if (options.filter != RefineFilter::kNone) {
    const double left = static_cast<double>(out.budget_tokens) /
                        static_cast<double>(std::max<std::size_t>(1, out.tokens_before));
    const double share =
        options.filter_keep_ratio > 0.0 ? options.filter_keep_ratio : std::sqrt(std::min(1.0, left));
    filter_parts(layout, scores, options.filter, share, tiers);
  }
  const bool all_may_stay = std::find(tiers.begin(), tiers.end(), Tier::kNever) == tiers.end();
  SpanText rendered;
  if (out.tokens_before <= out.budget_tokens && all_may_stay) {
    rendered.append(text, {0, text.size()});
    out.tokens_after = out.tokens_before;
    describe(layout, scores, std::vector<std::uint8_t>(tiers.size(), 1), out);
  } else {
    const std::vector<std::uint8_t> collapses = collapsing_words(layout, tiers, options);
    BudgetSearch search(layout, target, options.encode, collapses);
    const std::size_t n_always = search.begin(tiers, ranked_words(tiers, scores));
    if (n_always > out.budget_tokens) {
      if (!budget.yields_to_protected())
        return does_not_fit(tiers, n_always, out.tokens_before, out.budget_tokens);
      out.budget_tokens = n_always;
    }
    out.tokens_after = search.fill(out.budget_tokens, n_always);
    search.render(rendered);
    describe(layout, scores, search.shown(), out);
  }
  out.text = std::move(rendered.text);
  out.kept = std::move(rendered.spans);
  out.segments = split_by_segment(prompt, text, out.kept);
  return out;
}

}  // namespace detail::refine

inline Result<RefinedPrompt> refine_by_scores(std::span<const Segment> prompt, std::span<const float> scores,
                                              const Tokenizer& target, const RefineBudget& budget,
                                              const RefineOptions& options) {
  return detail::or_out_of_memory(
      [&] { return detail::refine::refine_now(prompt, scores, target, budget, options); });
}

}  // namespace elms::inline v0
