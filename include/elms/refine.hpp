// Cutting a prompt down to a budget by the importance of its words, whoever says what that is.
//
// Words are kept or dropped whole, by spans of the source text: the result is a subsequence of the prompt's
// bytes, and what is protected is in it byte for byte. PromptRefiner (prompt_refiner.hpp) is the usual source
// of scores.
#pragma once

#include <cstddef>
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

/// Keeps the words of the parts that RefineOptions::filter puts first and there of the highest scores (of
/// equal ones the earlier) such that the text that results is at most the budget in `target`'s tokens and one
/// more word, the best that was dropped, would be over it. Less is kept only where Segment::keep_ratio says
/// so; all is kept, byte for byte, where it fits.
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

inline Result<RefinedPrompt> refine_by_scores(std::span<const Segment> prompt, std::span<const float> scores,
                                              const Tokenizer& target, const RefineBudget& budget,
                                              const RefineOptions& options) {
  return detail::or_out_of_memory([&]() -> Result<RefinedPrompt> {
    ELMS_ASSIGN_OR_RETURN(detail::refine::SplitPrompt split, detail::refine::split_prompt(prompt, options));
    return detail::refine::refine_now(prompt, std::move(split), scores, target, budget, options);
  });
}

}  // namespace elms::inline v0
