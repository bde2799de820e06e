// Cutting a text into the pieces that are tokenised on their own. The published pre-tokenisers are regular
// expressions; here each is a scanner that gives the same pieces in one pass, without backtracking.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "unicode.hpp"

namespace elms::inline v0::detail {

/// The family of expressions that GPT-2 began:
///   contractions | lead? letters+ | numbers | space? others+ newlines* | \s*[\r\n]+ | \s+(?!\S) | \s+
struct WordRule {
  enum class Contractions : std::uint8_t { kNone, kLowerCase, kAnyCase };
  Contractions contractions = Contractions::kNone;
  bool any_lead = false;       ///< letters may follow one [^\r\n\p{L}\p{N}]; else one U+0020
  CharSets letters = kLetter;  ///< what a word is made of
  std::size_t max_digits = 0;  ///< longest run of \p{N}; 0: any length, after one U+0020 if there is one
  bool newlines = false;       ///< others take newlines along, and whitespace up to a newline is a piece

  friend bool operator==(const WordRule&, const WordRule&) = default;
};

/// One pass over the pieces made so far. What a step matches becomes a piece of its own; so does what lies
/// between.
struct SplitStep {
  enum class Kind : std::uint8_t {
    kWords,           ///< WordRule
    kRun,             ///< `\s?` if leading_space, then up to max_run characters of in_run
    kThreeDigits,     ///< [0-9][0-9][0-9]
    kFinalSpace,      ///< \s+$
    kDeepseek3Words,  ///< the third expression of deepseek-v3
    kMarkedWords,     ///< begins a piece at every U+2581
    kMarkedRuns,      ///< begins a piece at every run of U+2581
    kBert,            ///< whitespace is dropped, every punctuation character stands alone
    kDropSpace,       ///< whitespace is dropped
  };
  Kind kind = Kind::kWords;
  WordRule rule{};
  bool (*in_run)(const Char&) noexcept = nullptr;
  bool leading_space = false;
  std::size_t max_run = 0;  ///< 0: no limit

  friend bool operator==(const SplitStep&, const SplitStep&) = default;
};

struct PreTokenizer {
  /// Whether a section gets `space` put before it: if it does not begin with one already.
  enum class PrefixSpace : std::uint8_t { kNever, kFirstSection, kEverySection };
  PrefixSpace prefix_space = PrefixSpace::kNever;
  bool mark_spaces = false;  ///< U+0020 is written as U+2581 first (Metaspace)
  std::vector<SplitStep> steps;
};

/// A pre-tokenizer as GGUF names it ("llama-bpe", "qwen2" ...), and the defaults that go with the name.
struct NamedPreTokenizer {
  std::span<const SplitStep> steps;
  bool ignore_merges = false;
  bool add_bos = false;
};
[[nodiscard]] std::optional<NamedPreTokenizer> find_pre_tokenizer(std::string_view gguf_name) noexcept;
/// The inverse: a name that stands for exactly these steps; empty where GGUF has none.
[[nodiscard]] std::string_view find_pre_tokenizer_name(std::span<const SplitStep> steps,
                                                       bool ignore_merges) noexcept;

/// The step that equals a regular expression of a tokenizer.json; false when it is not one of the known ones.
[[nodiscard]] bool find_split_pattern(std::string_view regex, SplitStep& step);

/// The step of GPT-2's own expression, which ByteLevel stands for.
[[nodiscard]] SplitStep gpt2_words() noexcept;
/// Steps of the pre-tokenizers Digits and Punctuation: single characters, or runs.
[[nodiscard]] SplitStep digits_step(bool individual) noexcept;
[[nodiscard]] SplitStep punctuation_step(bool individual) noexcept;

/// Makes `out` the section that the steps work on; false, leaving `out` alone, when that is `text`
/// itself. `first`: the section begins the text.
[[nodiscard]] bool rewrite_spaces(const PreTokenizer& pre_tokenizer, std::string_view text, bool first,
                                  std::string& out);

/// Cuts `text`; `pieces` is cleared first and views `text`. `scratch` is for reuse.
void pre_tokenize(const std::vector<SplitStep>& steps, std::string_view text,
                  std::vector<std::string_view>& pieces, std::vector<std::string_view>& scratch);

}  // namespace elms::inline v0::detail
