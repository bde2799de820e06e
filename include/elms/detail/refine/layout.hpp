// How a prompt looks when words of it are gone: which whitespace of the source stays between the words that
// are kept.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "elms/detail/refine/characters.hpp"
#include "elms/refine_options.hpp"

namespace elms::inline v0::detail::refine {

/// Text that grows by spans of the source; spans that touch become one.
struct SpanText {
  std::string text;
  std::vector<ByteSpan> spans;

  void append(std::string_view source, ByteSpan span) {
    if (span.begin >= span.end) return;
    text.append(source.substr(span.begin, span.size()));
    if (!spans.empty() && spans.back().end == span.begin) {
      spans.back().end = span.end;
    } else {
      spans.push_back(span);
    }
  }
  void clear() noexcept {
    text.clear();
    spans.clear();
  }
};

/// The words of a prompt and the whitespace around each. Gap i stands before word i, gap n after the last
/// one. Does not own the text.
class Layout {
 public:
  Layout(std::string_view text, std::vector<PromptWord> words) : text_(text), words_(std::move(words)) {
    edges_.reserve(words_.size());
    for (const PromptWord& word : words_) edges_.push_back(edges_of(word.span));
    gaps_.reserve(words_.size() + 1);
    std::size_t begin = 0;
    for (std::size_t i = 0; i <= words_.size(); ++i) {
      const std::size_t end = i < words_.size() ? words_[i].span.begin : text.size();
      gaps_.push_back(gap_of({begin, end}));
      if (i < words_.size()) begin = words_[i].span.end;
    }
    for (std::size_t i = 0; i < gaps_.size(); ++i) {
      const int around =
          (i > 0 ? edges_[i - 1].trailing_breaks : 0) + (i < edges_.size() ? edges_[i].leading_breaks : 0);
      gaps_[i].wanted = static_cast<std::uint8_t>(std::min(2, gaps_[i].n_breaks + around));
    }
  }

  [[nodiscard]] std::string_view text() const noexcept { return text_; }
  [[nodiscard]] const std::vector<PromptWord>& words() const noexcept { return words_; }
  [[nodiscard]] std::string_view text_of(std::size_t word) const noexcept {
    return text_.substr(words_[word].span.begin, words_[word].span.size());
  }
  /// Whether word i begins a line.
  [[nodiscard]] bool begins_line(std::size_t word) const noexcept {
    return word == 0 || gaps_[word].wanted > 0;
  }

  /// What is left where the words with a mark in `kept` are: [n_words].
  void render(std::span<const std::uint8_t> kept, SpanText& out) const {
    out.clear();
    std::size_t last = kNone;
    for (std::size_t i = 0; i < words_.size(); ++i) {
      if (kept[i] == 0) continue;
      append_gap(last, i, out);
      out.append(text_, words_[i].span);
      last = i;
    }
    append_end(last, out);
  }

  /// The same of some words in order, without what stands before the first and after the last.
  void render_words(std::span<const std::size_t> words, SpanText& out) const {
    out.clear();
    for (std::size_t i = 0; i < words.size(); ++i) {
      if (i > 0) append_gap(words[i - 1], words[i], out);
      out.append(text_, words_[words[i]].span);
    }
  }

  static constexpr std::size_t kNone = static_cast<std::size_t>(-1);

 private:
  /// Whitespace. Of its line breaks the first and the last matter.
  struct Gap {
    ByteSpan span;
    ByteSpan first_break, last_break;
    std::uint8_t n_breaks = 0;  ///< at most 2
    std::uint8_t wanted = 0;    ///< with the breaks at the edges of the words around; at most 2
  };
  /// Whitespace inside a word, at its ends: only protected text has any.
  struct Edges {
    std::uint8_t leading_breaks = 0, trailing_breaks = 0;  ///< at most 2
    bool leading_white = false, trailing_white = false;
  };

  [[nodiscard]] Gap gap_of(ByteSpan span) const {
    Gap gap;
    gap.span = span;
    for (std::size_t at = span.begin; at < span.end;) {
      const Character c = read_character(text_, at);
      std::size_t size = std::max<std::size_t>(c.size, 1);
      if (is_line_break(c.code)) {
        if (c.code == '\r' && at + 1 < span.end && text_[at + 1] == '\n') size = 2;
        gap.last_break = {at, at + size};
        if (gap.n_breaks == 0) gap.first_break = gap.last_break;
        gap.n_breaks = static_cast<std::uint8_t>(std::min(2, gap.n_breaks + 1));
      }
      at += size;
    }
    return gap;
  }

  [[nodiscard]] Edges edges_of(ByteSpan span) const {
    Edges edges;
    const auto is_graphic = [&](std::size_t at) { return text_[at] > ' ' && text_[at] < 0x7F; };
    if (is_graphic(span.begin) && is_graphic(span.end - 1)) return edges;  // as nearly all have it
    const std::string_view word = text_.substr(span.begin, span.size());
    const std::size_t first = std::min(skip_white(word, 0), word.size());
    const Gap leading = gap_of({span.begin, span.begin + first});
    edges.leading_white = first > 0;
    edges.leading_breaks = leading.n_breaks;
    // Trailing: ASCII is all that protected text ends with in practice.
    const std::size_t last = word.find_last_not_of(" \t\r\n");
    const std::size_t end = last == std::string_view::npos ? 0 : last + 1;
    edges.trailing_white = end < word.size();
    edges.trailing_breaks = gap_of({span.begin + end, span.end}).n_breaks;
    return edges;
  }

  /// Between two words that are kept, of which the first may be none.
  void append_gap(std::size_t before, std::size_t after, SpanText& out) const {
    const std::size_t first = before == kNone ? 0 : before + 1;
    if (first == after) return out.append(text_, gaps_[after].span);  // neighbours: as it was
    if (before == kNone) return;
    const Edges& left = edges_[before];
    const Edges& right = edges_[after];
    std::size_t strongest = first, last_line = kNone, blank = kNone;
    int wanted = 0;
    for (std::size_t i = first; i <= after; ++i) {
      wanted = std::max<int>(wanted, gaps_[i].wanted);
      if (gaps_[i].n_breaks >= gaps_[strongest].n_breaks) strongest = i;
      if (gaps_[i].n_breaks > 0) last_line = i;
      if (gaps_[i].span.size() > 0) blank = i;
    }
    if (wanted == 0) {
      const bool attached = words_[after].kind == WordKind::kPunctuation && gaps_[after].span.size() == 0;
      if (blank != kNone && !attached && !left.trailing_white && !right.leading_white)
        append_blank(blank, out);
      return;
    }
    const int needed = wanted - left.trailing_breaks - right.leading_breaks;
    const Gap& gap = gaps_[strongest];
    if (needed >= 2 && gap.n_breaks >= 2) out.append(text_, gap.first_break);
    if (needed >= 1 && gap.n_breaks >= 1) out.append(text_, gap.last_break);
    const bool on_new_line = needed >= 1 || left.trailing_breaks > 0;
    if (on_new_line && right.leading_breaks == 0 && last_line != kNone) {  // indentation
      out.append(text_, {gaps_[last_line].last_break.end, gaps_[last_line].span.end});
    }
  }

  /// One character of a gap.
  void append_blank(std::size_t gap, SpanText& out) const {
    const std::size_t begin = gaps_[gap].span.begin;
    out.append(text_, {begin, begin + std::max<std::size_t>(1, read_character(text_, begin).size)});
  }

  void append_end(std::size_t last, SpanText& out) const {
    const Gap& gap = gaps_.back();
    if (last == kNone) {
      if (words_.empty()) out.append(text_, gap.span);
      return;
    }
    if (last + 1 == words_.size()) return out.append(text_, gap.span);
    if (gap.n_breaks > 0 && edges_[last].trailing_breaks == 0) out.append(text_, gap.last_break);
  }

  std::string_view text_;
  std::vector<PromptWord> words_;
  std::vector<Gap> gaps_;     ///< [n_words + 1]
  std::vector<Edges> edges_;  ///< [n_words]
};

}  // namespace elms::inline v0::detail::refine
