#include "added_tokens.hpp"

#include <algorithm>

#include "unicode.hpp"

namespace elms::inline v0::detail {
namespace {

/// Where the whitespace that ends text[begin, end) starts.
std::size_t trim_right(std::string_view text, std::size_t begin, std::size_t end) noexcept {
  std::size_t kept = begin;
  for (std::size_t i = begin; i < end;) {
    const Char c = char_at(text, i);
    i += c.size;
    if (!c.is(kWhitespace)) kept = i;
  }
  return kept;
}

std::size_t skip_whitespace(std::string_view text, std::size_t position) noexcept {
  for (Char c = char_at(text, position); c.is(kWhitespace); c = char_at(text, position)) position += c.size;
  return position;
}

}  // namespace

void AddedTokenSet::add(std::string_view text, TokenId id, bool strip_left, bool strip_right) {
  if (!text.empty()) entries_.push_back({std::string(text), id, strip_left, strip_right});
}

void AddedTokenSet::index() {
  std::stable_sort(entries_.begin(), entries_.end(),
                   [](const Entry& a, const Entry& b) { return a.text < b.text; });
  entries_.erase(std::unique(entries_.begin(), entries_.end(),
                             [](const Entry& a, const Entry& b) { return a.text == b.text; }),
                 entries_.end());
  std::size_t next = 0;
  for (std::size_t byte = 0; byte < 256; ++byte) {
    by_first_byte_[byte] = static_cast<std::uint32_t>(next);
    while (next < entries_.size() && static_cast<unsigned char>(entries_[next].text[0]) == byte) ++next;
  }
  by_first_byte_[256] = static_cast<std::uint32_t>(next);
}

const AddedTokenSet::Entry* AddedTokenSet::longest_at(std::string_view text,
                                                      std::size_t position) const noexcept {
  const auto first = static_cast<unsigned char>(text[position]);
  auto low = entries_.begin() + by_first_byte_[first];
  auto high = entries_.begin() + by_first_byte_[first + 1u];
  const Entry* longest = nullptr;
  // [low, high) begin with the first `depth` bytes from `position`; the shortest of them comes first.
  for (std::size_t depth = 1; low != high; ++depth) {
    if (low->text.size() == depth) longest = &*low++;
    if (position + depth >= text.size()) break;
    const auto byte = static_cast<unsigned char>(text[position + depth]);
    const auto byte_at = [depth](const Entry& entry) {
      return static_cast<unsigned char>(entry.text[depth]);
    };
    low = std::lower_bound(low, high, byte, [&](const Entry& e, unsigned char b) { return byte_at(e) < b; });
    high = std::upper_bound(low, high, byte, [&](unsigned char b, const Entry& e) { return b < byte_at(e); });
  }
  return longest;
}

void AddedTokenSet::split(std::string_view text, std::vector<TextSection>& sections) const {
  std::size_t begin = 0;
  std::size_t position = 0;
  const auto begins_none = [&](char c) {
    const auto first = static_cast<unsigned char>(c);
    return by_first_byte_[first] == by_first_byte_[first + 1u];
  };
  while (position < text.size()) {
    if (begins_none(text[position])) {
      ++position;
      continue;
    }
    const Entry* found = longest_at(text, position);
    if (found == nullptr) {
      ++position;
      continue;
    }
    const std::size_t end = found->strip_left ? trim_right(text, begin, position) : position;
    if (end > begin) sections.push_back({text.substr(begin, end - begin), kNoToken});
    sections.push_back({text.substr(position, found->text.size()), found->id});
    position += found->text.size();
    if (found->strip_right) position = skip_whitespace(text, position);
    begin = position;
  }
  if (begin < text.size()) sections.push_back({text.substr(begin), kNoToken});
}

}  // namespace elms::inline v0::detail
