#include "pretokenize.hpp"

#include <algorithm>

namespace elms::inline v0::detail {
namespace {

constexpr std::string_view kMarker = "\xE2\x96\x81";

/// What a step says about a position: `size` bytes that are a piece, that are dropped, or that it leaves as
/// they are.
struct Step {
  enum class Kind : std::uint8_t { kPiece, kDrop, kLeave };
  std::size_t size = 0;
  Kind kind = Kind::kLeave;
};
constexpr Step piece_of(std::size_t size) noexcept {
  return {size, Step::Kind::kPiece};
}
constexpr Step leave(std::size_t size) noexcept {
  return {size, Step::Kind::kLeave};
}

bool is_newline(const Char& c) noexcept {
  return c.code_point == '\n' || c.code_point == '\r';
}
bool is_other(const Char& c, CharSets known) noexcept {
  return c.size != 0 && !c.is(known);
}

/// End of the run of characters in `sets` from `position`, at most `limit` of them (0: any number).
std::size_t end_of_run(std::string_view text, std::size_t position, CharSets sets,
                       std::size_t limit = 0) noexcept {
  std::size_t n = 0;
  for (Char c = char_at(text, position); c.is(sets); c = char_at(text, position)) {
    position += c.size;
    if (++n == limit) break;
  }
  return position;
}

std::size_t end_of_newlines(std::string_view text, std::size_t position) noexcept {
  while (position < text.size() && (text[position] == '\n' || text[position] == '\r')) ++position;
  return position;
}

/// Simple case folding of the letters in the contractions: ASCII, and the long s.
char32_t fold(char32_t c) noexcept {
  if (c == 0x17F) return U's';
  return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
}

/// Size of 's 't 're 've 'm 'll 'd at `position`, 0 when there is none.
std::size_t contraction_size(std::string_view text, std::size_t position, bool any_case) noexcept {
  if (text[position] != '\'') return 0;
  const Char first = char_at(text, position + 1);
  const Char second = char_at(text, position + 1 + first.size);
  const char32_t a = any_case ? fold(first.code_point) : first.code_point;
  const char32_t b = any_case ? fold(second.code_point) : second.code_point;
  if (a == 's' || a == 't' || a == 'm' || a == 'd') return 1u + first.size;
  if ((a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l'))
    return 1u + first.size + second.size;
  return 0;
}

/// Whitespace that nothing else took: up to its last newline if `newlines`; else all of it, but for a last
/// character that a word follows, which may be that word's leading space.
std::size_t whitespace_size(std::string_view text, std::size_t position, bool newlines) noexcept {
  std::size_t end = position;
  std::size_t last_begin = position;
  std::size_t after_newline = position;
  for (Char c = char_at(text, end); c.is(kWhitespace); c = char_at(text, end)) {
    last_begin = end;
    end += c.size;
    if (is_newline(c)) after_newline = end;
  }
  if (newlines && after_newline != position) return after_newline - position;
  if (end < text.size() && last_begin != position) return last_begin - position;
  return end - position;
}

Step match_words(const WordRule& rule, std::string_view text, std::size_t position) noexcept {
  const Char c = char_at(text, position);
  if (rule.contractions != WordRule::Contractions::kNone) {
    const bool any_case = rule.contractions == WordRule::Contractions::kAnyCase;
    if (const std::size_t size = contraction_size(text, position, any_case)) return piece_of(size);
  }
  const std::size_t after = position + c.size;
  const Char next = char_at(text, after);
  const bool space_before = c.code_point == ' ';
  const bool leads = rule.any_lead ? !is_newline(c) && !c.is(kLetter | kNumber) : space_before;
  if (c.is(rule.letters) || (leads && next.is(rule.letters))) {
    return piece_of(end_of_run(text, after, rule.letters) - position);
  }
  if (c.is(kNumber)) return piece_of(end_of_run(text, position, kNumber, rule.max_digits) - position);
  if (rule.max_digits == 0 && space_before && next.is(kNumber)) {
    return piece_of(end_of_run(text, after, kNumber) - position);
  }
  const CharSets known = kWhitespace | kNumber | kLetter | rule.letters;
  if (is_other(c, known) || (space_before && is_other(next, known))) {
    std::size_t end = after;
    for (Char other = char_at(text, end); is_other(other, known); other = char_at(text, end))
      end += other.size;
    return piece_of((rule.newlines ? end_of_newlines(text, end) : end) - position);
  }
  if (c.is(kWhitespace)) return piece_of(whitespace_size(text, position, rule.newlines));
  return leave(c.size);
}

/// `[!-/:-@[-`{-~][A-Za-z]+ | [^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+ | ?[\p{P}\p{S}]+[\r\n]* | whitespace as
/// above`
Step match_deepseek3_words(std::string_view text, std::size_t position) noexcept {
  const auto is_ascii_letter = [](char32_t c) { return (c | 0x20) >= 'a' && (c | 0x20) <= 'z'; };
  const Char c = char_at(text, position);
  const std::size_t after = position + c.size;
  const Char next = char_at(text, after);
  if (c.code_point < 0x80 && c.is(kPunctuation | kSymbol) && is_ascii_letter(next.code_point)) {
    std::size_t end = after;
    while (end < text.size() && is_ascii_letter(static_cast<unsigned char>(text[end]))) ++end;
    return piece_of(end - position);
  }
  constexpr CharSets kWord = kLetter | kMark;
  const bool leads = !is_newline(c) && !c.is(kLetter | kPunctuation | kSymbol);
  if (c.is(kWord) || (leads && next.is(kWord))) return piece_of(end_of_run(text, after, kWord) - position);
  constexpr CharSets kSigns = kPunctuation | kSymbol;
  if (c.is(kSigns) || (c.code_point == ' ' && next.is(kSigns))) {
    return piece_of(end_of_newlines(text, end_of_run(text, after, kSigns)) - position);
  }
  if (c.is(kWhitespace)) return piece_of(whitespace_size(text, position, true));
  return leave(c.size);
}

Step match_run(const SplitStep& step, std::string_view text, std::size_t position) noexcept {
  const Char c = char_at(text, position);
  const bool space_leads =
      step.leading_space && c.is(kWhitespace) && step.in_run(char_at(text, position + c.size));
  if (!space_leads && !step.in_run(c)) return leave(c.size);
  std::size_t end = position + c.size;
  std::size_t n = space_leads ? 0 : 1;
  for (Char next = char_at(text, end); n != step.max_run || n == 0; next = char_at(text, end), ++n) {
    if (next.size == 0 || !step.in_run(next)) break;
    end += next.size;
  }
  return piece_of(end - position);
}

Step match_three_digits(std::string_view text, std::size_t position) noexcept {
  const auto is_digit = [&](std::size_t i) { return i < text.size() && text[i] >= '0' && text[i] <= '9'; };
  if (is_digit(position) && is_digit(position + 1) && is_digit(position + 2)) return piece_of(3);
  return leave(char_at(text, position).size);
}

Step match_final_space(std::string_view text, std::size_t position) noexcept {
  const std::size_t end = end_of_run(text, position, kWhitespace);
  if (end == position) return leave(char_at(text, position).size);
  return end == text.size() ? piece_of(end - position) : leave(end - position);
}

Step match_marked_word(std::string_view text, std::size_t position) noexcept {
  const std::size_t from = text.substr(position).starts_with(kMarker) ? position + kMarker.size() : position;
  const std::size_t next = text.find(kMarker, from);
  return piece_of((next == text.npos ? text.size() : next) - position);
}

Step match_marked_run(std::string_view text, std::size_t position) noexcept {
  std::size_t from = position;
  while (text.substr(from).starts_with(kMarker)) from += kMarker.size();
  const std::size_t next = text.find(kMarker, from);
  return piece_of((next == text.npos ? text.size() : next) - position);
}

Step match_bert(std::string_view text, std::size_t position, bool isolate_punctuation) noexcept {
  const Char c = char_at(text, position);
  if (c.is(kWhitespace)) return {c.size, Step::Kind::kDrop};
  const bool punctuation = c.is(kPunctuation) || (c.code_point < 0x80 && c.is(kSymbol));
  return isolate_punctuation && punctuation ? piece_of(c.size) : leave(c.size);
}

Step match(const SplitStep& step, std::string_view text, std::size_t position) noexcept {
  using Kind = SplitStep::Kind;
  switch (step.kind) {
    case Kind::kWords:
      return match_words(step.rule, text, position);
    case Kind::kRun:
      return match_run(step, text, position);
    case Kind::kThreeDigits:
      return match_three_digits(text, position);
    case Kind::kFinalSpace:
      return match_final_space(text, position);
    case Kind::kDeepseek3Words:
      return match_deepseek3_words(text, position);
    case Kind::kMarkedWords:
      return match_marked_word(text, position);
    case Kind::kMarkedRuns:
      return match_marked_run(text, position);
    case Kind::kBert:
      return match_bert(text, position, true);
    case Kind::kDropSpace:
      return match_bert(text, position, false);
  }
  return leave(text.size() - position);
}

void split(const SplitStep& step, std::string_view text, std::vector<std::string_view>& pieces) {
  std::size_t gap = 0;  // where the text that no match took begins
  std::size_t position = 0;
  while (position < text.size()) {
    const Step found = match(step, text, position);
    if (found.kind != Step::Kind::kLeave) {
      if (gap < position) pieces.push_back(text.substr(gap, position - gap));
      if (found.kind == Step::Kind::kPiece) pieces.push_back(text.substr(position, found.size));
      gap = position + found.size;
    }
    position += found.size;
  }
  if (gap < text.size()) pieces.push_back(text.substr(gap));
}

}  // namespace

bool rewrite_spaces(const PreTokenizer& pre_tokenizer, std::string_view text, bool first, std::string& out) {
  using PrefixSpace = PreTokenizer::PrefixSpace;
  const std::string_view space = pre_tokenizer.mark_spaces ? kMarker : std::string_view(" ");
  const bool may_prefix = pre_tokenizer.prefix_space == PrefixSpace::kEverySection ||
                          (pre_tokenizer.prefix_space == PrefixSpace::kFirstSection && first);
  const bool prefixes = may_prefix && !text.starts_with(' ') && !text.starts_with(space);
  if (!prefixes && !pre_tokenizer.mark_spaces) return false;
  const auto n_spaces = static_cast<std::size_t>(std::count(text.begin(), text.end(), ' '));
  out.resize(text.size() + n_spaces * (space.size() - 1) + (prefixes ? space.size() : 0));
  char* at = out.data();
  const auto put_space = [&] { at = std::copy(space.begin(), space.end(), at); };
  if (prefixes) put_space();
  for (const char c : text) {
    if (c == ' ') {
      put_space();
    } else {
      *at++ = c;
    }
  }
  return true;
}

void pre_tokenize(const std::vector<SplitStep>& steps, std::string_view text,
                  std::vector<std::string_view>& pieces, std::vector<std::string_view>& scratch) {
  pieces.clear();
  if (text.empty()) return;
  pieces.push_back(text);
  for (const SplitStep& step : steps) {
    scratch.swap(pieces);
    pieces.clear();
    for (const std::string_view piece : scratch) split(step, piece, pieces);
  }
}

}  // namespace elms::inline v0::detail
