// UTF-8 and the Unicode properties that tokenizers ask for. The tables are utf8proc's; nothing outside
// unicode.cpp sees it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "elms/status.hpp"

namespace elms::inline v0::detail {

inline constexpr char32_t kReplacementCharacter = 0xFFFD;

/// What stands at a position of a byte string.
struct Utf8Unit {
  enum class Kind : std::uint8_t {
    kCharacter,  ///< a well-formed sequence
    kInvalid,    ///< bytes that no continuation can make well-formed
    kCut,        ///< the string ends inside a sequence that is well-formed so far
  };
  char32_t code_point = kReplacementCharacter;  ///< U+FFFD unless kCharacter
  std::uint8_t size = 1;  ///< bytes; of kInvalid the longest prefix of a sequence (1 to 3)
  Kind kind = Kind::kInvalid;
};

/// Reads one unit; `position` < text.size(). Overlong forms, surrogates and values above U+10FFFF are
/// invalid.
[[nodiscard]] Utf8Unit read_utf8(std::string_view text, std::size_t position) noexcept;

void append_utf8(std::string& out, char32_t code_point);

/// Appends `text` with every invalid unit replaced by U+FFFD; a unit that is cut off counts as invalid.
void append_well_formed(std::string& out, std::string_view text);

/// Sets of code points, as bits.
enum CharSet : std::uint16_t {
  kLetter = 1 << 0,          ///< \p{L}
  kUpper = 1 << 1,           ///< \p{Lu}, \p{Lt}
  kLower = 1 << 2,           ///< \p{Ll}
  kMark = 1 << 3,            ///< \p{M}
  kNonspacingMark = 1 << 4,  ///< \p{Mn}
  kNumber = 1 << 5,          ///< \p{N}
  kPunctuation = 1 << 6,     ///< \p{P}
  kSymbol = 1 << 7,          ///< \p{S}
  kWhitespace = 1 << 8,      ///< White_Space, the \s of Unicode regular expressions
  kControl = 1 << 9,         ///< Cc, Cf, Co
};
using CharSets = std::uint16_t;

/// The same of ASCII, which is most of what is asked for.
[[nodiscard]] constexpr std::array<CharSets, 128> make_ascii_sets() noexcept {
  std::array<CharSets, 128> sets{};
  for (std::size_t c = 0; c < 0x20; ++c) sets[c] = c >= '\t' && c <= '\r' ? kControl | kWhitespace : kControl;
  sets[' '] = kWhitespace;
  for (std::size_t c = '!'; c < 0x7F; ++c) sets[c] = kPunctuation;
  for (std::size_t c = '0'; c <= '9'; ++c) sets[c] = kNumber;
  for (std::size_t c = 'A'; c <= 'Z'; ++c) sets[c] = kLetter | kUpper;
  for (std::size_t c = 'a'; c <= 'z'; ++c) sets[c] = kLetter | kLower;
  for (const char c : std::string_view("$+<=>^`|~")) sets[static_cast<std::size_t>(c)] = kSymbol;
  sets[0x7F] = kControl;
  return sets;
}
inline constexpr std::array<CharSets, 128> kAsciiSets = make_ascii_sets();

[[nodiscard]] CharSets char_sets(char32_t code_point) noexcept;
[[nodiscard]] bool is_ascii(std::string_view text) noexcept;

/// One character as the scanners see it: what is not UTF-8 counts as a U+FFFD of one byte.
struct Char {
  char32_t code_point = 0;  ///< 0 and no sets past the end
  CharSets sets = 0;
  std::uint8_t size = 0;  ///< bytes; 0 past the end

  [[nodiscard]] bool is(CharSets any_of) const noexcept { return (sets & any_of) != 0; }
};
/// char_at() within a text.
[[nodiscard]] Char wide_char_at(std::string_view text, std::size_t position) noexcept;
[[nodiscard]] inline Char char_at(std::string_view text, std::size_t position) noexcept {
  if (position >= text.size()) return {};
  const auto byte = static_cast<unsigned char>(text[position]);
  return byte < 0x80 ? Char{byte, kAsciiSets[byte], 1} : wide_char_at(text, position);
}

/// Appends the full lower-case mapping of one character.
void append_lower(std::string& out, char32_t code_point);

enum class NormalForm : std::uint8_t { kNfc, kNfd, kNfkc, kNfkd };
/// Invalid bytes are kept as they are. O(n log n) for any text.
[[nodiscard]] std::string to_normal_form(std::string_view text, NormalForm form);

/// The CJK ideograph blocks that BERT's tokenizer puts spaces around.
[[nodiscard]] bool is_bert_ideograph(char32_t code_point) noexcept;

}  // namespace elms::inline v0::detail
