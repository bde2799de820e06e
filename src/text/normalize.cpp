#include "normalize.hpp"

#include "unicode.hpp"

namespace elms::inline v0::detail {
namespace {

std::string to_lower(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    const Utf8Unit unit = read_utf8(text, i);
    if (unit.kind == Utf8Unit::Kind::kCharacter) {
      append_lower(out, unit.code_point);
    } else {
      out.append(text.substr(i, unit.size));
    }
    i += unit.size;
  }
  return out;
}

std::string without(std::string_view text, CharSets sets) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    const Char c = char_at(text, i);
    if (!c.is(sets)) out.append(text.substr(i, c.size));
    i += c.size;
  }
  return out;
}

std::string replace_all(std::string_view text, std::string_view from, std::string_view to) {
  std::string out;
  out.reserve(text.size());
  std::size_t begin = 0;
  for (std::size_t found = text.find(from); found != text.npos; found = text.find(from, begin)) {
    out.append(text.substr(begin, found - begin));
    out.append(to);
    begin = found + from.size();
  }
  out.append(text.substr(begin));
  return out;
}

std::string_view strip(std::string_view text, bool left, bool right) {
  std::size_t begin = 0;
  std::size_t end = 0;  // after the last character that is not whitespace
  bool inside = false;
  for (std::size_t i = 0; i < text.size();) {
    const Char c = char_at(text, i);
    i += c.size;
    if (!c.is(kWhitespace)) {
      inside = true;
      end = i;
    } else if (!inside) {
      begin = i;
    }
  }
  if (!left) begin = 0;
  if (!right) end = text.size();
  return begin < end ? text.substr(begin, end - begin) : std::string_view();
}

std::string clean_text(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    const Char c = char_at(text, i);
    const bool line_space = c.code_point == '\t' || c.code_point == '\n' || c.code_point == '\r';
    if (line_space || (c.is(kWhitespace) && !c.is(kControl))) {
      out.push_back(' ');
    } else if (c.code_point != 0 && c.code_point != kReplacementCharacter && !c.is(kControl)) {
      out.append(text.substr(i, c.size));
    }
    i += c.size;
  }
  return out;
}

std::string space_ideographs(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    const Char c = char_at(text, i);
    const bool alone = is_bert_ideograph(c.code_point);
    if (alone) out.push_back(' ');
    out.append(text.substr(i, c.size));
    if (alone) out.push_back(' ');
    i += c.size;
  }
  return out;
}

/// BERT's idea of clean, of ASCII and in place.
void clean_ascii(std::string& text) {
  std::size_t n = 0;
  for (const char c : text) {
    if (c == '\t' || c == '\n' || c == '\r') {
      text[n++] = ' ';
    } else if (c >= ' ' && c != 0x7F) {
      text[n++] = c;
    }
  }
  text.resize(n);
}

/// Most texts are ASCII, of which most steps leave everything as it is. False where a step is the same for
/// any text.
bool apply_to_ascii(const NormalizerStep& step, std::string& text) {
  using Kind = NormalizerStep::Kind;
  switch (step.kind) {
    case Kind::kNfc:
    case Kind::kNfd:
    case Kind::kNfkc:
    case Kind::kNfkd:
    case Kind::kStripAccents:
    case Kind::kStripMarks:
    case Kind::kSpaceIdeographs:
      return true;
    case Kind::kLowercase:
      for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
      return true;
    case Kind::kCleanText:
      clean_ascii(text);
      return true;
    case Kind::kPrepend:
    case Kind::kReplace:
    case Kind::kStrip:
      break;
  }
  return false;
}

std::string apply(const NormalizerStep& step, std::string text) {
  using Kind = NormalizerStep::Kind;
  switch (step.kind) {
    case Kind::kNfc:
      return to_normal_form(text, NormalForm::kNfc);
    case Kind::kNfd:
      return to_normal_form(text, NormalForm::kNfd);
    case Kind::kNfkc:
      return to_normal_form(text, NormalForm::kNfkc);
    case Kind::kNfkd:
      return to_normal_form(text, NormalForm::kNfkd);
    case Kind::kLowercase:
      return to_lower(text);
    case Kind::kStripAccents:
      return without(text, kNonspacingMark);
    case Kind::kStripMarks:
      return without(text, kMark);
    case Kind::kPrepend:
      return text.empty() ? text : step.text + text;
    case Kind::kReplace:
      return replace_all(text, step.text, step.replacement);
    case Kind::kStrip:
      return std::string(strip(text, step.left, step.right));
    case Kind::kCleanText:
      return clean_text(text);
    case Kind::kSpaceIdeographs:
      return space_ideographs(text);
  }
  return text;
}

}  // namespace

std::vector<NormalizerStep> bert_normalizer(bool clean, bool ideographs, bool strip_accents, bool lowercase) {
  using Kind = NormalizerStep::Kind;
  std::vector<NormalizerStep> steps;
  if (clean) steps.push_back({.kind = Kind::kCleanText});
  if (ideographs) steps.push_back({.kind = Kind::kSpaceIdeographs});
  if (strip_accents) steps.push_back({.kind = Kind::kNfd});
  if (strip_accents) steps.push_back({.kind = Kind::kStripAccents});
  if (lowercase) steps.push_back({.kind = Kind::kLowercase});
  return steps;
}

void normalize(std::span<const NormalizerStep> steps, std::string_view text, std::string& out) {
  out.assign(text);
  bool ascii = is_ascii(text);
  for (const NormalizerStep& step : steps) {
    if (ascii && apply_to_ascii(step, out)) continue;
    out = apply(step, std::move(out));
    ascii = is_ascii(out);
  }
}

}  // namespace elms::inline v0::detail
