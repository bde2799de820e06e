#include "clean_up.hpp"

#include <array>

#include "unicode.hpp"

namespace elms::inline v0::detail {
namespace {

struct Replacement {
  std::string_view from;
  std::string_view to;
};
/// Applied one after the other, each to the whole text (transformers, clean_up_tokenization).
constexpr std::array<Replacement, 10> kReplacements = {{{" .", "."},
                                                        {" ?", "?"},
                                                        {" !", "!"},
                                                        {" ,", ","},
                                                        {" ' ", "'"},
                                                        {" n't", "n't"},
                                                        {" 'm", "'m"},
                                                        {" 's", "'s"},
                                                        {" 've", "'ve"},
                                                        {" 're", "'re"}}};

std::string clean_up(std::string text) {
  for (const Replacement& replacement : kReplacements) {
    std::size_t found = text.find(replacement.from);
    if (found == text.npos) continue;
    std::string cleaned;
    cleaned.reserve(text.size());
    std::size_t begin = 0;
    for (; found != text.npos; found = text.find(replacement.from, begin)) {
      cleaned.append(text, begin, found - begin);
      cleaned.append(replacement.to);
      begin = found + replacement.from.size();
    }
    cleaned.append(text, begin);
    text = std::move(cleaned);
  }
  return text;
}

/// The last place where cutting the text changes nothing: a space that no replacement begins at, ends at or
/// reaches over, whatever follows. All of `text` before it is settled.
std::size_t last_settled_cut(std::string_view text) noexcept {
  for (std::size_t i = text.size(); i-- > 1;) {
    if (text[i] != ' ' || i + 1 >= text.size()) continue;
    constexpr std::string_view kMayBegin = ".?!,'n ";
    if (kMayBegin.find(text[i + 1]) == kMayBegin.npos && text[i - 1] != '\'') return i;
  }
  return 0;
}

/// Bytes at the end that are the beginning of a character.
std::size_t unfinished_size(std::string_view text) noexcept {
  for (std::size_t size = 1; size <= 3 && size <= text.size(); ++size) {
    const std::size_t position = text.size() - size;
    if ((static_cast<unsigned char>(text[position]) & 0xC0) == 0x80) continue;
    return read_utf8(text, position).kind == Utf8Unit::Kind::kCut ? size : 0;
  }
  return 0;
}

}  // namespace

std::string take_settled(std::string& pending, bool at_end, bool clean_up_spaces) {
  std::size_t n = pending.size();
  if (!at_end) n = clean_up_spaces ? last_settled_cut(pending) : n - unfinished_size(pending);
  std::string out;
  out.reserve(n);
  append_well_formed(out, std::string_view(pending).substr(0, n));
  pending.erase(0, n);
  return clean_up_spaces ? clean_up(std::move(out)) : out;
}

}  // namespace elms::inline v0::detail
