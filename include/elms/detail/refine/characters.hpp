// What the word splitter must know of Unicode: where a character that readers see ends, which scripts are
// written without spaces, what is white, what is a digit. Ranges, not tables: a wrong guess costs a finer or
// coarser word, nothing else. What is asked of every character looks first at where its ranges begin: nearly
// all text is below.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace elms::inline v0::detail::refine {

/// A code point and its bytes; what is not UTF-8 is one byte, as U+FFFD.
struct Character {
  char32_t code = 0;
  std::size_t size = 0;  ///< 0 at the end of the text
};

[[nodiscard]] inline Character read_character(std::string_view text, std::size_t at) noexcept {
  if (at >= text.size()) return {};
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned lead = byte(at);
  if (lead < 0x80) return {static_cast<char32_t>(lead), 1};
  const std::size_t size = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  constexpr Character kInvalid = {0xFFFD, 1};
  if (lead < 0xC2 || lead > 0xF4 || at + size > text.size()) return kInvalid;
  char32_t code = lead & (0x7Fu >> size);
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(at + i) & 0xC0u) != 0x80u) return kInvalid;
    code = code << 6 | (byte(at + i) & 0x3Fu);
  }
  constexpr char32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  if (code < kSmallest[size] || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) return kInvalid;
  return {code, size};
}

[[nodiscard]] constexpr bool within(char32_t code, char32_t first, char32_t last) noexcept {
  return code >= first && code <= last;
}

[[nodiscard]] constexpr bool is_line_break(char32_t code) noexcept {
  return code == '\n' || code == '\r' || code == 0x85 || code == 0x2028 || code == 0x2029;
}

/// White_Space of Unicode.
[[nodiscard]] constexpr bool is_white(char32_t code) noexcept {
  if (code < 0x85) return code == ' ' || within(code, 0x09, 0x0D);
  return code == 0x85 || code == 0xA0 || code == 0x1680 || within(code, 0x2000, 0x200A) || code == 0x2028 ||
         code == 0x2029 || code == 0x202F || code == 0x205F || code == 0x3000;
}

[[nodiscard]] constexpr bool is_ascii_letter(char32_t code) noexcept {
  return within(code, 'a', 'z') || within(code, 'A', 'Z');
}

/// Digits of the scripts in which figures are common.
[[nodiscard]] constexpr bool is_digit(char32_t code) noexcept {
  if (code < 0x660) return within(code, '0', '9');
  return within(code, 0x660, 0x669) || within(code, 0x6F0, 0x6F9) || within(code, 0x966, 0x96F) ||
         within(code, 0xFF10, 0xFF19);
}

[[nodiscard]] constexpr bool is_currency(char32_t code) noexcept {
  return code == '$' || within(code, 0xA2, 0xA5) || within(code, 0x20A0, 0x20CF) || code == 0xFFE5;
}

/// Marks that end a word or a sentence and stand right behind it.
[[nodiscard]] constexpr bool is_trailing_mark(char32_t code) noexcept {
  return code == '.' || code == ',' || code == ';' || code == ':' || code == '!' || code == '?' ||
         code == 0x2026 || code == 0x3001 || code == 0x3002 || code == 0xFF01 || code == 0xFF0C ||
         code == 0xFF0E || code == 0xFF1A || code == 0xFF1B || code == 0xFF1F || code == 0x61F ||
         code == 0x60C || code == 0x964;
}

[[nodiscard]] constexpr bool ends_sentence(char32_t code) noexcept {
  return code == '.' || code == '!' || code == '?' || code == 0x2026 || code == 0x3002 || code == 0xFF01 ||
         code == 0xFF0E || code == 0xFF1F || code == 0x61F || code == 0x964;
}

/// Scripts written without spaces: each character is a word of its own.
[[nodiscard]] constexpr bool is_unspaced(char32_t code) noexcept {
  if (code < 0xE00) return false;
  return within(code, 0x3005, 0x3007) || within(code, 0x3041, 0x30FF) || within(code, 0x31F0, 0x31FF) ||
         within(code, 0x3400, 0x4DBF) || within(code, 0x4E00, 0x9FFF) || within(code, 0xF900, 0xFAFF) ||
         within(code, 0xFF66, 0xFF9F) || within(code, 0x20000, 0x3FFFF) ||  // Han, Kana
         within(code, 0xE00, 0xEFF) ||                                      // Thai, Lao
         within(code, 0x1000, 0x109F) || within(code, 0x1780, 0x17FF);      // Burmese, Khmer
}

[[nodiscard]] constexpr bool is_regional_indicator(char32_t code) noexcept {
  return within(code, 0x1F1E6, 0x1F1FF);
}

/// Pictures that stand for themselves.
[[nodiscard]] constexpr bool is_emoji(char32_t code) noexcept {
  if (code < 0x2300) return false;
  return within(code, 0x1F000, 0x1FAFF) || within(code, 0x2600, 0x27BF) || within(code, 0x2B00, 0x2BFF) ||
         within(code, 0x2300, 0x23FF);
}

inline constexpr char32_t kZeroWidthJoiner = 0x200D;

/// What belongs to the character before it.
[[nodiscard]] constexpr bool extends_character(char32_t code) noexcept {
  if (code < 0x300) return false;
  return within(code, 0x300, 0x36F) || within(code, 0x483, 0x489) || within(code, 0x591, 0x5BD) ||
         within(code, 0x610, 0x61A) || within(code, 0x64B, 0x65F) || within(code, 0x93A, 0x94F) ||
         code == 0xE31 || within(code, 0xE33, 0xE3A) || within(code, 0xE47, 0xE4E) || code == 0xEB1 ||
         within(code, 0xEB3, 0xEBC) || within(code, 0xEC8, 0xECE) || within(code, 0x102B, 0x103E) ||
         within(code, 0x17B4, 0x17D3) || within(code, 0x1AB0, 0x1AFF) || within(code, 0x1DC0, 0x1DFF) ||
         code == 0x200C || code == kZeroWidthJoiner || within(code, 0x20D0, 0x20FF) ||
         within(code, 0x3099, 0x309A) || within(code, 0xFE00, 0xFE0F) || within(code, 0xFE20, 0xFE2F) ||
         within(code, 0x1F3FB, 0x1F3FF) || within(code, 0xE0020, 0xE007F) || within(code, 0xE0100, 0xE01EF);
}

/// End of the character that readers see at `at`: a base with all that extends it, emoji joined to others,
/// flags.
[[nodiscard]] inline std::size_t end_of_cluster(std::string_view text, std::size_t at) noexcept {
  Character base = read_character(text, at);
  std::size_t end = at + base.size;
  if (is_regional_indicator(base.code)) {
    const Character second = read_character(text, end);
    if (is_regional_indicator(second.code)) end += second.size;
  }
  for (Character next = read_character(text, end); next.size > 0; next = read_character(text, end)) {
    if (extends_character(next.code)) {
      end += next.size;
      base = next;
    } else if (base.code == kZeroWidthJoiner && is_emoji(next.code)) {
      end += next.size;
      base = next;
    } else {
      break;
    }
  }
  return end;
}

/// First byte at or after `at` that is not white.
[[nodiscard]] inline std::size_t skip_white(std::string_view text, std::size_t at) noexcept {
  for (Character c = read_character(text, at); c.size > 0 && is_white(c.code); c = read_character(text, at))
    at += c.size;
  return at;
}

}  // namespace elms::inline v0::detail::refine
