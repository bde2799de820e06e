// What may not be cut into words: each function says where the thing that begins at a position ends, 0 where
// there is none.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

#include "elms/detail/refine/characters.hpp"

namespace elms::inline v0::detail::refine {

[[nodiscard]] inline bool starts_with(std::string_view text, std::size_t at, std::string_view what) noexcept {
  return text.substr(at, what.size()) == what;
}

[[nodiscard]] inline std::size_t end_of_line(std::string_view text, std::size_t at) noexcept {
  return std::min(text.find('\n', at), text.size());
}

/// Whether only spaces and tabs stand between the line's begin and `at`.
[[nodiscard]] inline bool is_at_line_start(std::string_view text, std::size_t at) noexcept {
  while (at > 0 && (text[at - 1] == ' ' || text[at - 1] == '\t')) --at;
  return at == 0 || text[at - 1] == '\n' || text[at - 1] == '\r';
}

[[nodiscard]] inline std::size_t end_of_run(std::string_view text, std::size_t at, char c) noexcept {
  while (at < text.size() && text[at] == c) ++at;
  return at;
}

/// A fenced block: from three or more ` or ~ at the start of a line to a line of at least as many, or to the
/// end of the text where none comes.
[[nodiscard]] inline std::size_t end_of_fence(std::string_view text, std::size_t at) noexcept {
  const char fence = text[at];
  const std::size_t length = end_of_run(text, at, fence) - at;
  if ((fence != '`' && fence != '~') || length < 3 || !is_at_line_start(text, at)) return 0;
  std::size_t line = end_of_line(text, at);
  // ```code``` on one line is inline code.
  if (fence == '`' && text.substr(at + length, line - at - length).find('`') != std::string_view::npos)
    return 0;
  while (line < text.size()) {
    const std::size_t begin = text.find_first_not_of(" \t", line + 1);
    if (begin == std::string_view::npos) break;
    const std::size_t end = end_of_line(text, begin);
    const std::size_t after = end_of_run(text, begin, fence);
    if (after - begin >= length &&
        text.substr(after, end - after).find_first_not_of(" \t\r") == std::string_view::npos) {
      return after;
    }
    line = std::max(end, line + 1);
    if (text[begin] == '\n') line = begin;
  }
  return text.size();
}

/// Code between two equal runs of at most eight backticks on one line.
[[nodiscard]] inline std::size_t end_of_inline_code(std::string_view text, std::size_t at) noexcept {
  if (text[at] != '`') return 0;
  std::size_t from = end_of_run(text, at, '`');
  const std::size_t length = from - at;
  if (length > 8) return 0;
  const std::size_t line = end_of_line(text, at);
  for (std::size_t run = text.find('`', from); run < line; run = text.find('`', from)) {
    from = end_of_run(text, run, '`');
    if (from - run == length) return from;
  }
  return 0;
}

inline constexpr std::string_view kRoleNames[] = {"system",    "user",     "assistant", "model",      "tool",
                                                  "developer", "function", "ipython",   "environment"};

inline constexpr std::string_view kFixedMarkers[] = {"<s>",
                                                     "</s>",
                                                     "<bos>",
                                                     "<eos>",
                                                     "<pad>",
                                                     "<unk>",
                                                     "<mask>",
                                                     "<start_of_turn>",
                                                     "<end_of_turn>",
                                                     "<<SYS>>",
                                                     "<</SYS>>",
                                                     "<tool_call>",
                                                     "</tool_call>",
                                                     "<tool_response>",
                                                     "</tool_response>",
                                                     "<tools>",
                                                     "</tools>",
                                                     "<think>",
                                                     "</think>",
                                                     "[INST]",
                                                     "[/INST]",
                                                     "[AVAILABLE_TOOLS]",
                                                     "[/AVAILABLE_TOOLS]",
                                                     "[TOOL_CALLS]",
                                                     "[TOOL_RESULTS]",
                                                     "[/TOOL_RESULTS]",
                                                     "[SYSTEM_PROMPT]",
                                                     "[/SYSTEM_PROMPT]",
                                                     "[CLS]",
                                                     "[SEP]",
                                                     "[MASK]"};

/// <|name|>, <｜name｜> (full-width bars), and the markers of a list; no blanks inside, at most 64 bytes of
/// name.
[[nodiscard]] inline std::size_t end_of_bare_marker(std::string_view text, std::size_t at) noexcept {
  for (const std::string_view marker : kFixedMarkers) {
    if (starts_with(text, at, marker)) return at + marker.size();
  }
  for (const std::string_view bar : {std::string_view("|"), std::string_view("\xEF\xBD\x9C")}) {
    if (!starts_with(text, at + 1, bar)) continue;
    const std::size_t name = at + 1 + bar.size();
    const std::string_view ahead = text.substr(name, 64 + bar.size() + 1);
    const std::size_t close = ahead.find('>');
    if (close == std::string_view::npos || close <= bar.size()) continue;
    const std::string_view inner = ahead.substr(0, close);
    if (inner.find_first_of(" \t\r\n<") != std::string_view::npos) continue;
    if (inner.substr(inner.size() - bar.size()) == bar) return name + close + 1;
  }
  return 0;
}

/// A marker with the role name that touches it.
[[nodiscard]] inline std::size_t end_of_marker(std::string_view text, std::size_t at) noexcept {
  if (text[at] != '<' && text[at] != '[') return 0;
  const std::size_t end = end_of_bare_marker(text, at);
  if (end == 0) return 0;
  for (const std::string_view role : kRoleNames) {
    if (starts_with(text, end, role) && !is_ascii_letter(read_character(text, end + role.size()).code)) {
      return end + role.size();
    }
  }
  return end;
}

/// How far a scheme with "://" goes, or "www."; 0 where no URL begins. Schemes are short.
[[nodiscard]] inline std::size_t end_of_url_prefix(std::string_view text, std::size_t at) noexcept {
  if (starts_with(text, at, "www.")) return at + 4;
  if (starts_with(text, at, "mailto:")) return at + 7;
  std::size_t end = at;
  while (end < text.size() && end < at + 16 &&
         (is_ascii_letter(static_cast<unsigned char>(text[end])) ||
          (end > at && (text[end] == '+' || text[end] == '-')))) {
    ++end;
  }
  return end > at + 1 && starts_with(text, end, "://") ? end + 3 : 0;
}

/// A URL without the punctuation behind it, and without a bracket that was opened before it.
[[nodiscard]] inline std::size_t end_of_url(std::string_view text, std::size_t at) noexcept {
  const std::size_t prefix = end_of_url_prefix(text, at);
  if (prefix == 0) return 0;
  std::size_t end = prefix;
  int n_open = 0;
  for (Character c = read_character(text, end); c.size > 0; c = read_character(text, end)) {
    if (is_white(c.code) || c.code == '<' || c.code == '>' || c.code == '"' || c.code == '`' ||
        is_unspaced(c.code) || (c.code >= 0x3000 && c.code < 0x3040) || within(c.code, 0xFF01, 0xFF5E)) {
      break;
    }
    if (c.code == '(' || c.code == '[') ++n_open;
    if ((c.code == ')' || c.code == ']') && --n_open < 0) break;
    end += c.size;
  }
  while (end > prefix && std::string_view(".,;:!?'*_").find(text[end - 1]) != std::string_view::npos) --end;
  return end > prefix ? end : 0;
}

/// Something@something.something, by its bytes.
[[nodiscard]] inline bool is_email(std::string_view word) noexcept {
  const std::size_t at = word.find('@');
  return at != std::string_view::npos && at > 0 && word.find('.', at) != std::string_view::npos &&
         word.find('.', at) > at + 1 && word.back() != '.';
}

inline constexpr std::string_view kUnits[] = {
    "%",        "percent", "kg",    "g",    "mg",     "lb",      "lbs",    "oz",       "ton",      "tons",
    "tonnes",   "km",      "m",     "cm",   "mm",     "nm",      "mi",     "mile",     "miles",    "meters",
    "metres",   "feet",    "ft",    "foot", "inch",   "inches",  "yards",  "acres",    "hectares", "km/h",
    "kph",      "mph",     "m/s",   "l",    "ml",     "litres",  "liters", "gallons",  "s",        "sec",
    "second",   "seconds", "min",   "mins", "minute", "minutes", "h",      "hr",       "hrs",      "hour",
    "hours",    "day",     "days",  "week", "weeks",  "month",   "months", "year",     "years",    "am",
    "pm",       "a.m",     "p.m",   "ms",   "us",     "ns",      "b",      "kb",       "mb",       "gb",
    "tb",       "kib",     "mib",   "gib",  "bit",    "bits",    "bytes",  "hz",       "khz",      "mhz",
    "ghz",      "w",       "kw",    "mw",   "kwh",    "v",       "mv",     "a",        "ma",       "mah",
    "pa",       "kpa",     "bar",   "psi",  "db",     "px",      "pt",     "dpi",      "°c",       "°f",
    "°",        "degrees", "k",     "usd",  "eur",    "gbp",     "jpy",    "cny",      "chf",      "inr",
    "dollars",  "dollar",  "euros", "euro", "pounds", "cents",   "yen",    "thousand", "million",  "billion",
    "trillion", "tokens",  "£",     "€",    "$",      "¥"};

/// Units of Chinese and Japanese, which follow a number without a space.
inline constexpr char32_t kUnspacedUnits[] = {
    0x5143, 0x5186, 0x5E74, 0x6708, 0x65E5, 0x65F6, 0x6642, 0x5206, 0x79D2, 0x4E2A, 0x4EBA, 0x6B21, 0x56DE,
    0x7C73, 0x5EA6, 0x6B73, 0x5C81, 0x4E07, 0x4EBF, 0x5104, 0x5428, 0x514B, 0x500B, 0x672C, 0x53F0};

/// Past the unit behind a number that ends at `at`, with the one space between them; `at` where there is
/// none.
[[nodiscard]] inline std::size_t end_of_unit(std::string_view text, std::size_t at) noexcept {
  const Character next = read_character(text, at);
  if (is_unspaced(next.code)) {
    const bool known = std::find(std::begin(kUnspacedUnits), std::end(kUnspacedUnits), next.code) !=
                       std::end(kUnspacedUnits);
    return known ? at + next.size : at;
  }
  const bool space = next.code == ' ' || next.code == 0xA0 || next.code == 0x202F || next.code == 0x2009;
  if (!space) return at;
  const std::size_t begin = at + next.size;
  // Letters, signs and the slash or dot between letters.
  std::size_t end = begin;
  for (Character c = read_character(text, end); c.size > 0 && end - begin < 16;
       c = read_character(text, end)) {
    const bool inner =
        (c.code == '.' || c.code == '/') && is_ascii_letter(read_character(text, end + 1).code);
    if (!is_ascii_letter(c.code) && !inner && c.code != '%' && c.code != 0xB0 && !is_currency(c.code)) break;
    end += c.size;
  }
  if (end == begin || is_digit(read_character(text, end).code)) return at;
  std::string unit(text.substr(begin, end - begin));
  for (char& c : unit) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  // "a" and "m" are units only as they are written: "5 A", not "5 a".
  if ((unit == "a" || unit == "k" || unit == "b" || unit == "v" || unit == "w" || unit == "us") &&
      text[begin] != 'A' && text[begin] != 'K' && text[begin] != 'B' && text[begin] != 'V' &&
      text[begin] != 'W') {
    return at;
  }
  return std::find(std::begin(kUnits), std::end(kUnits), unit) != std::end(kUnits) ? end : at;
}

[[nodiscard]] constexpr bool is_sign(char32_t code) noexcept {
  return code == '+' || code == '-' || code == 0x2212 || code == 0xB1 || code == '~' || code == 0x2248 ||
         code == '#' || code == '<' || code == '>' || code == 0x2264 || code == 0x2265;
}
[[nodiscard]] constexpr bool is_opening(char32_t code) noexcept {
  return code == '(' || code == '[' || code == '{' || code == '"' || code == '\'' || code == 0x201C ||
         code == 0x2018 || code == 0xAB || code == 0xFF08 || code == 0x300C;
}
[[nodiscard]] constexpr bool is_closing(char32_t code) noexcept {
  return code == ')' || code == ']' || code == '}' || code == '"' || code == '\'' || code == 0x201D ||
         code == 0x2019 || code == 0xBB || code == 0xFF09 || code == 0x300D;
}

/// A number: brackets, sign, currency, figures with . , : / - ' between them, what is written against it
/// ("3rd", "10km", "25%"), closing brackets, and a unit after one space.
[[nodiscard]] inline std::size_t end_of_number(std::string_view text, std::size_t at) noexcept {
  std::size_t end = at;
  Character c = read_character(text, end);
  const auto next = [&] {
    end += c.size;
    c = read_character(text, end);
  };
  while (is_opening(c.code)) next();
  if (is_sign(c.code)) next();
  if (is_currency(c.code)) {
    next();
    if (c.code == ' ' && is_digit(read_character(text, end + 1).code)) next();  // "$ 5"
  }
  if (c.code == '.' && is_digit(read_character(text, end + 1).code)) next();
  if (!is_digit(c.code)) return 0;
  std::size_t solid = end;  // past the last character that is no mark and no bracket
  while (c.size > 0 && !is_white(c.code) && !is_unspaced(c.code) && !is_emoji(c.code)) {
    const bool weak = is_trailing_mark(c.code) || is_closing(c.code);
    if (c.code == '<' || c.code == '`' || c.code == '{') break;
    next();
    if (!weak) solid = end;
  }
  // "(25%)" keeps its bracket, "25%)." leaves the full stop.
  std::size_t closed = solid;
  while (closed < end && is_closing(read_character(text, closed).code)) {
    closed += read_character(text, closed).size;
  }
  return end_of_unit(text, closed);
}

/// "1." or "2)" at the start of a line with something behind it: it numbers the line, it is no figure of the
/// text.
[[nodiscard]] inline std::size_t end_of_enumerator(std::string_view text, std::size_t at) noexcept {
  std::size_t end = at;
  while (end < text.size() && end < at + 3 && text[end] >= '0' && text[end] <= '9') ++end;
  if (end == at || end + 1 >= text.size() || (text[end] != '.' && text[end] != ')') || text[end + 1] != ' ')
    return 0;
  return is_at_line_start(text, at) ? end + 1 : 0;
}

}  // namespace elms::inline v0::detail::refine
