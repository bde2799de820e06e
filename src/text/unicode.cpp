#include "unicode.hpp"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

namespace elms::inline v0::detail {
namespace {

constexpr bool is_continuation(unsigned char byte) noexcept {
  return (byte & 0xC0) == 0x80;
}

/// Length that a lead byte announces and the range its second byte must be in (RFC 3629, table in section 4).
struct Lead {
  std::uint8_t size;
  unsigned char second_min;
  unsigned char second_max;
};
constexpr Lead lead_of(unsigned char byte) noexcept {
  if (byte < 0x80) return {1, 0, 0};
  if (byte < 0xC2) return {0, 0, 0};
  if (byte < 0xE0) return {2, 0x80, 0xBF};
  if (byte == 0xE0) return {3, 0xA0, 0xBF};
  if (byte == 0xED) return {3, 0x80, 0x9F};
  if (byte < 0xF0) return {3, 0x80, 0xBF};
  if (byte == 0xF0) return {4, 0x90, 0xBF};
  if (byte < 0xF4) return {4, 0x80, 0xBF};
  if (byte == 0xF4) return {4, 0x80, 0x8F};
  return {0, 0, 0};
}

CharSets look_up_sets(char32_t code_point) noexcept {
  const auto value = static_cast<utf8proc_int32_t>(code_point);
  switch (utf8proc_category(value)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LT:
      return kLetter | kUpper;
    case UTF8PROC_CATEGORY_LL:
      return kLetter | kLower;
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
      return kLetter;
    case UTF8PROC_CATEGORY_MN:
      return kMark | kNonspacingMark;
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
      return kMark;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
      return kNumber;
    case UTF8PROC_CATEGORY_PC:
    case UTF8PROC_CATEGORY_PD:
    case UTF8PROC_CATEGORY_PS:
    case UTF8PROC_CATEGORY_PE:
    case UTF8PROC_CATEGORY_PI:
    case UTF8PROC_CATEGORY_PF:
    case UTF8PROC_CATEGORY_PO:
      return kPunctuation;
    case UTF8PROC_CATEGORY_SM:
    case UTF8PROC_CATEGORY_SC:
    case UTF8PROC_CATEGORY_SK:
    case UTF8PROC_CATEGORY_SO:
      return kSymbol;
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
      return kWhitespace;
    case UTF8PROC_CATEGORY_CC:
      return (code_point >= 0x09 && code_point <= 0x0D) || code_point == 0x85 ? kControl | kWhitespace
                                                                              : kControl;
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CO:
      return kControl;
    default:
      return 0;  // unassigned, and the surrogates that UTF-8 cannot hold
  }
}

using Scalars = std::vector<utf8proc_int32_t>;

/// Puts runs of combining marks into canonical order. Sorting, where utf8proc itself swaps neighbours, keeps
/// a hostile run of marks from costing its square.
void order_marks(Scalars& scalars) {
  struct Mark {
    utf8proc_int32_t value;
    int combining_class;
  };
  std::vector<Mark> run;
  const auto flush = [&](std::size_t end) {
    std::stable_sort(run.begin(), run.end(),
                     [](const Mark& a, const Mark& b) { return a.combining_class < b.combining_class; });
    for (std::size_t i = 0; i < run.size(); ++i) scalars[end - run.size() + i] = run[i].value;
    run.clear();
  };
  for (std::size_t i = 0; i < scalars.size(); ++i) {
    const int combining_class = utf8proc_get_property(scalars[i])->combining_class;
    if (combining_class == 0) {
      flush(i);
    } else {
      run.push_back({scalars[i], combining_class});
    }
  }
  flush(scalars.size());
}

void append_decomposition(Scalars& out, char32_t code_point, bool compatible) {
  constexpr int kLongestDecomposition = 32;  // U+FDFA is the longest, with 18
  const int options = UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | (compatible ? UTF8PROC_COMPAT : 0);
  std::array<utf8proc_int32_t, kLongestDecomposition> buffer;
  int boundary = 0;
  const utf8proc_ssize_t n =
      utf8proc_decompose_char(static_cast<utf8proc_int32_t>(code_point), buffer.data(), buffer.size(),
                              static_cast<utf8proc_option_t>(options), &boundary);
  if (n <= 0 || n > kLongestDecomposition) {
    out.push_back(static_cast<utf8proc_int32_t>(code_point));
  } else {
    out.insert(out.end(), buffer.begin(), buffer.begin() + n);
  }
}

void flush_normalized(std::string& out, Scalars& scalars, bool compose) {
  order_marks(scalars);
  std::size_t n = scalars.size();
  if (compose && n != 0) {
    const utf8proc_ssize_t composed =
        utf8proc_normalize_utf32(scalars.data(), static_cast<utf8proc_ssize_t>(n),
                                 static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
    if (composed >= 0) n = static_cast<std::size_t>(composed);
  }
  for (std::size_t i = 0; i < n; ++i) append_utf8(out, static_cast<char32_t>(scalars[i]));
  scalars.clear();
}

}  // namespace

Utf8Unit read_utf8(std::string_view text, std::size_t position) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[position + i]); };
  const std::size_t available = text.size() - position;
  const Lead lead = lead_of(byte(0));
  if (lead.size == 1) return {byte(0), 1, Utf8Unit::Kind::kCharacter};
  if (lead.size == 0) return {};
  char32_t value = byte(0) & (0x7F >> lead.size);
  for (std::uint8_t i = 1; i < lead.size; ++i) {
    if (i >= available) return {kReplacementCharacter, i, Utf8Unit::Kind::kCut};
    const bool fits =
        i == 1 ? byte(1) >= lead.second_min && byte(1) <= lead.second_max : is_continuation(byte(i));
    if (!fits) return {kReplacementCharacter, i, Utf8Unit::Kind::kInvalid};
    value = value << 6 | (byte(i) & 0x3F);
  }
  return {value, lead.size, Utf8Unit::Kind::kCharacter};
}

void append_utf8(std::string& out, char32_t code_point) {
  const auto put = [&](char32_t bits) { out.push_back(static_cast<char>(bits)); };
  if (code_point < 0x80) {
    put(code_point);
  } else if (code_point < 0x800) {
    put(0xC0 | code_point >> 6);
    put(0x80 | (code_point & 0x3F));
  } else if (code_point < 0x10000) {
    put(0xE0 | code_point >> 12);
    put(0x80 | (code_point >> 6 & 0x3F));
    put(0x80 | (code_point & 0x3F));
  } else {
    put(0xF0 | code_point >> 18);
    put(0x80 | (code_point >> 12 & 0x3F));
    put(0x80 | (code_point >> 6 & 0x3F));
    put(0x80 | (code_point & 0x3F));
  }
}

void append_well_formed(std::string& out, std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const Utf8Unit unit = read_utf8(text, i);
    if (unit.kind == Utf8Unit::Kind::kCharacter) {
      out.append(text.substr(i, unit.size));
    } else {
      append_utf8(out, kReplacementCharacter);
    }
    i += unit.size;
  }
}

CharSets char_sets(char32_t code_point) noexcept {
  return code_point < 128 ? kAsciiSets[code_point] : look_up_sets(code_point);
}

bool is_ascii(std::string_view text) noexcept {
  std::uint64_t bits = 0;
  for (; text.size() >= sizeof bits; text.remove_prefix(sizeof bits)) {
    std::uint64_t eight = 0;
    std::memcpy(&eight, text.data(), sizeof eight);
    bits |= eight;
  }
  for (const char c : text) bits |= static_cast<unsigned char>(c);
  return (bits & 0x8080808080808080u) == 0;
}

Char wide_char_at(std::string_view text, std::size_t position) noexcept {
  const Utf8Unit unit = read_utf8(text, position);
  if (unit.kind == Utf8Unit::Kind::kCharacter)
    return {unit.code_point, char_sets(unit.code_point), unit.size};
  return {kReplacementCharacter, kSymbol, 1};
}

void append_lower(std::string& out, char32_t code_point) {
  if (code_point == 0x130) {  // the only character whose lower case is two
    append_utf8(out, U'i');
    append_utf8(out, 0x307);
  } else {
    append_utf8(out, static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(code_point))));
  }
}

std::string to_normal_form(std::string_view text, NormalForm form) {
  const bool compatible = form == NormalForm::kNfkc || form == NormalForm::kNfkd;
  const bool compose = form == NormalForm::kNfc || form == NormalForm::kNfkc;
  std::string out;
  out.reserve(text.size());
  Scalars scalars;
  for (std::size_t i = 0; i < text.size();) {
    const Utf8Unit unit = read_utf8(text, i);
    if (unit.kind == Utf8Unit::Kind::kCharacter) {
      append_decomposition(scalars, unit.code_point, compatible);
    } else {
      flush_normalized(out, scalars, compose);
      out.append(text.substr(i, unit.size));
    }
    i += unit.size;
  }
  flush_normalized(out, scalars, compose);
  return out;
}

bool is_bert_ideograph(char32_t c) noexcept {
  // As Hugging Face has them; its fourth extension block starts at 2B920, not at the 2B820 of Unicode.
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x2A6DF) ||
         (c >= 0x2A700 && c <= 0x2B73F) || (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
         (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

}  // namespace elms::inline v0::detail
