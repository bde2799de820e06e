// Cutting a prompt down to a budget by the importance of its words, whoever says what that is.
//
// Words are kept or dropped whole, by spans of the source text: the result is a subsequence of the prompt's
// bytes, and what is protected is in it byte for byte. PromptRefiner (prompt_refiner.hpp) is the usual source
// of scores.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "elms/detail/error.hpp"
#include "elms/status.hpp"
#include "elms/tokenizer.hpp"

namespace elms::inline v0 {

/// Bytes [begin, end) of the prompt: its segments' texts one after the other.
struct ByteSpan {
  std::size_t begin = 0;
  std::size_t end = 0;
  [[nodiscard]] std::size_t size() const noexcept { return end - begin; }
  friend bool operator==(const ByteSpan&, const ByteSpan&) = default;
};

/// What a word is, which decides what the guards do with it.
enum class WordKind : std::uint8_t {
  kWord,         ///< a word, or a character of a script that is written without spaces, or an emoji
  kPunctuation,  ///< marks right behind a word: . , ; : ! ? and their like
  kNumber,       ///< a number with its sign, currency and unit: "$1,000.50", "25 %", "3.5 kg", "2024-05-01"
  kUrl,          ///< with a scheme, or "www.", or an e-mail address
  kMarker,       ///< of a chat template, with a role name that touches it: "<|im_start|>user", "[INST]"
  kJson,         ///< an object or array that parses
  kCode,         ///< from a fence to its end, or between backticks
  kProtected,    ///< a whole protected segment, or the last line on request
};
/// "word", "punctuation", ... Never null; static storage.
[[nodiscard]] constexpr const char* to_string(WordKind kind) noexcept {
  switch (kind) {
    case WordKind::kWord:
      return "word";
    case WordKind::kPunctuation:
      return "punctuation";
    case WordKind::kNumber:
      return "number";
    case WordKind::kUrl:
      return "url";
    case WordKind::kMarker:
      return "marker";
    case WordKind::kJson:
      return "json";
    case WordKind::kCode:
      return "code";
    case WordKind::kProtected:
      return "protected";
  }
  return "unknown";
}

/// A unit that is kept or dropped whole.
struct PromptWord {
  ByteSpan span;             ///< never empty; never crosses a segment's border
  std::int32_t segment = 0;  ///< index of its segment
  WordKind kind = WordKind::kWord;
};

/// What happens to the words of one kind.
enum class Guard : std::uint8_t {
  kKeep,    ///< always kept; where that does not fit into the budget refine fails
  kPrefer,  ///< kept before any ordinary word; dropped whole, lowest score first, only where nothing else is
            ///< left to drop. With strict_protection: kKeep
  kWhole,   ///< kept or dropped whole, by its score like a word
  kOff,     ///< not recognised: its text is words like any other
};

/// Whole parts that are dropped before words are.
enum class RefineFilter : std::uint8_t {
  /// Lines and sentences, by what they have in common with the question, which is every segment of that role
  /// and what
  /// protect_last_line protects: BM25 over runs of 4 characters. All that fit stay whole, and of the first
  /// that does not
  /// the words with the highest scores. As kNone where there is no question, or nothing in common.
  kQuestion,
  kNone,       ///< words only
  kSentences,  ///< lines and sentences, by their words' mean score
  kSegments,   ///< likewise
};

struct RefineOptions {
  Guard markers = Guard::kKeep;
  Guard json = Guard::kKeep;
  Guard code = Guard::kKeep;
  Guard urls = Guard::kPrefer;
  Guard numbers = Guard::kPrefer;
  /// Words that are kept as by Guard::kPrefer: equal to one of these, or marks of which it is one ("?"). "\n"
  /// asks for what is done anyway: a line that keeps a word stays a line of its own.
  std::vector<std::string> force_tokens{};
  bool force_reserve_digit = false;  ///< likewise every word with a digit in it ("A17")
  bool drop_consecutive =
      false;  ///< of marks or force_tokens that are equal and come to stand side by side one stays
  bool strict_protection = false;  ///< what kPrefer, force_tokens and force_reserve_digit ask for and does
                                   ///< not fit is an error too
  bool protect_last_line = false;  ///< the last line that is not blank is the user's question: kProtected
  RefineFilter filter = RefineFilter::kQuestion;
  /// Share of the words' bytes whose sentences or segments survive the filter, best first, in (0, 1], of
  /// which words are then dropped by score; 0: the square root of the share that the budget leaves, and with
  /// kQuestion all that fits. Where survivors do not fill the budget, others do.
  double filter_keep_ratio = 0.0;
  /// Where a text that does not fit into the encoder at once may be cut: after words that are equal to one of
  /// these or marks of which one is one of these; "\n": at line ends. Empty: overlapping windows, merged
  /// (usually better).
  std::vector<std::string> chunk_end_tokens{};
  /// How the LLM will encode the text; tokens that add_special adds count.
  EncodeOptions encode{};
};

/// A keep ratio of the prompt's tokens, protected ones included, or a number of tokens; in the LLM's own
/// tokens.
class RefineBudget {
 public:
  /// In (0, 1]: at most floor(ratio * tokens_before).
  [[nodiscard]] static RefineBudget keep(double ratio) noexcept {
    RefineBudget budget;
    budget.ratio_ = ratio;
    return budget;
  }
  /// At most n tokens, n >= 1.
  [[nodiscard]] static RefineBudget tokens(std::int64_t n) noexcept {
    RefineBudget budget;
    budget.tokens_ = n;
    return budget;
  }
  /// The same, but where protected text alone is over it, that text is what is kept, and no error.
  [[nodiscard]] RefineBudget or_protected() const noexcept {
    RefineBudget budget = *this;
    budget.yields_ = true;
    return budget;
  }
  [[nodiscard]] bool yields_to_protected() const noexcept { return yields_; }
  /// kInvalidArgument where the number is none that can be.
  [[nodiscard]] Result<std::size_t> resolve(std::size_t tokens_before) const;

 private:
  RefineBudget() = default;
  double ratio_ = 0.0;
  std::optional<std::int64_t> tokens_;
  bool yields_ = false;
};

/// A word and what became of it.
struct RefinedWord {
  ByteSpan span;
  std::int32_t segment = 0;
  WordKind kind = WordKind::kWord;
  float score = 0.0f;  ///< as it was given
  bool kept = false;
};

struct RefinedPrompt {
  std::string text;                   ///< the bytes of `kept`, one after the other
  std::vector<std::string> segments;  ///< the same by segment: what is left of each, may be empty
  std::vector<ByteSpan> kept;         ///< of the prompt, ascending, apart from each other
  std::vector<RefinedWord> words;     ///< all of the prompt's, in order
  std::size_t tokens_before = 0;      ///< of the whole prompt, as RefineOptions::encode says
  std::size_t tokens_after = 0;       ///< of `text`, likewise; never above budget_tokens
  std::size_t budget_tokens = 0;

  /// Where the byte at `offset` of `text` stands in the prompt; its end for text.size() and above.
  [[nodiscard]] std::size_t source_offset(std::size_t offset) const noexcept;
};

inline Result<std::size_t> RefineBudget::resolve(std::size_t tokens_before) const {
  if (tokens_.has_value()) {
    if (*tokens_ < 1)
      return detail::invalid_argument("refine: a budget of ", *tokens_, " tokens, expected at least 1");
    return static_cast<std::size_t>(*tokens_);
  }
  if (!(ratio_ > 0.0 && ratio_ <= 1.0)) {
    return detail::invalid_argument("refine: a keep ratio of ", ratio_, ", expected above 0 and at most 1");
  }
  // 0.7 of 10 tokens are 7, though 0.7 * 10 is a little less in binary.
  return static_cast<std::size_t>(std::floor(ratio_ * static_cast<double>(tokens_before) + 1e-9));
}

inline std::size_t RefinedPrompt::source_offset(std::size_t offset) const noexcept {
  for (const ByteSpan& span : kept) {
    if (offset < span.size()) return span.begin + offset;
    offset -= span.size();
  }
  return kept.empty() ? 0 : kept.back().end;
}

}  // namespace elms::inline v0
