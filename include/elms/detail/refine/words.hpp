// From a prompt to its words: a scan over each segment that lets the guards speak first.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "elms/detail/refine/characters.hpp"
#include "elms/detail/refine/guards.hpp"
#include "elms/detail/refine/json_spans.hpp"
#include "elms/refine_options.hpp"
#include "elms/segment.hpp"

namespace elms::inline v0::detail::refine {

/// The segments' texts one after the other.
[[nodiscard]] inline std::string joined_text(std::span<const Segment> prompt) {
  std::string text;
  std::size_t size = 0;
  for (const Segment& segment : prompt) size += segment.text.size();
  text.reserve(size);
  for (const Segment& segment : prompt) text += segment.text;
  return text;
}

/// That, and the words in it.
struct SplitPrompt {
  std::string text;
  std::vector<PromptWord> words;
};

/// The last line with something on it, without the blanks around; empty where all is blank.
[[nodiscard]] inline ByteSpan last_line(std::string_view text) noexcept {
  constexpr std::string_view kBlanks = " \t\r\n";
  const std::size_t last = text.find_last_not_of(kBlanks);
  if (last == std::string_view::npos) return {};
  const std::size_t line_break = text.find_last_of("\r\n", last);
  const std::size_t begin = line_break == std::string_view::npos ? 0 : line_break + 1;
  return {text.find_first_not_of(kBlanks, begin), last + 1};
}

/// Splits one compressible segment.
class WordSplitter {
 public:
  WordSplitter(std::string_view text, std::size_t offset, std::int32_t segment, const RefineOptions& options,
               std::vector<PromptWord>& words)
      : text_(text), offset_(offset), segment_(segment), options_(options), words_(words) {
    if (options.json != Guard::kOff) json_ = JsonFinder(text).find();
  }

  /// `question`: bytes of this segment that are one protected word; may be empty.
  void split(ByteSpan question) {
    for (std::size_t at = skip_white(text_, 0); at < text_.size(); at = skip_white(text_, at)) {
      if (question.size() > 0 && at == question.begin) {
        add(at, question.end, WordKind::kProtected);
        at = question.end;
        question = {};
        continue;
      }
      const bool before = at < question.begin;
      at = split_run(at);
      if (before && at > question.begin) {  // something guarded runs into the question: it is part of it
        words_.back().kind = WordKind::kProtected;
        question.begin = skip_white(text_, at);
        if (question.begin >= question.end) question = {};
      }
    }
  }

 private:
  void add(std::size_t begin, std::size_t end, WordKind kind) {
    if (end > begin) words_.push_back({{offset_ + begin, offset_ + end}, segment_, kind});
  }

  /// What a guard recognises at `at`; 0 where none does.
  std::size_t guarded(std::size_t at, bool word_start, WordKind& kind) {
    const char c = text_[at];
    const auto found = [&](Guard guard, WordKind its, std::size_t end) {
      if (guard == Guard::kOff || end == 0) return std::size_t{0};
      kind = its;
      return end;
    };
    if (options_.code != Guard::kOff && (c == '`' || c == '~')) {
      if (const std::size_t end = found(options_.code, WordKind::kCode, end_of_fence(text_, at))) return end;
      // A run of ticks without its end is asked about once, not at each of its ticks.
      const bool run_start = at == 0 || text_[at - 1] != '`';
      if (c == '`' && run_start) {
        if (const std::size_t end = found(options_.code, WordKind::kCode, end_of_inline_code(text_, at)))
          return end;
      }
    }
    if (options_.markers != Guard::kOff && (c == '<' || c == '[')) {
      if (const std::size_t end = found(options_.markers, WordKind::kMarker, end_of_marker(text_, at)))
        return end;
    }
    while (next_json_ < json_.size() && json_[next_json_].begin < at) ++next_json_;
    if (next_json_ < json_.size() && json_[next_json_].begin == at) {
      return found(options_.json, WordKind::kJson, json_[next_json_].end);
    }
    if (options_.urls != Guard::kOff &&
        (word_start || !is_ascii_letter(static_cast<unsigned char>(text_[at - 1])))) {
      if (const std::size_t end = found(options_.urls, WordKind::kUrl, end_of_url(text_, at))) return end;
    }
    if (options_.numbers != Guard::kOff && word_start) {
      if (const std::size_t end = end_of_enumerator(text_, at)) {
        kind = WordKind::kWord;
        return end;
      }
      return found(options_.numbers, WordKind::kNumber, end_of_number(text_, at));
    }
    return 0;
  }

  /// The words up to the next white character or the end of what a guard took; returns where it stopped.
  std::size_t split_run(std::size_t begin) {
    std::size_t word = begin, at = begin;
    while (at < text_.size()) {
      const Character c = read_character(text_, at);
      if (is_white(c.code)) break;
      WordKind kind = WordKind::kWord;
      if (const std::size_t end = guarded(at, at == word, kind); end > at) {
        add_word(word, at);
        add(at, end, kind);
        return end;
      }
      const std::size_t end = end_of_cluster(text_, at);
      const bool alone = is_unspaced(c.code) || is_emoji(c.code);
      const bool wide_mark = c.code > 0x2FFF && is_trailing_mark(c.code);
      if (alone || wide_mark) {
        add_word(word, at);
        add(at, end, wide_mark ? WordKind::kPunctuation : WordKind::kWord);
        word = end;
      }
      at = end;
    }
    add_word(word, at);
    return at;
  }

  /// A word without marks behind it, and these.
  void add_word(std::size_t begin, std::size_t end) {
    if (begin >= end) return;
    const std::string_view word = text_.substr(begin, end - begin);
    std::size_t marks = end;
    while (marks > begin) {
      std::size_t before = marks - 1;
      while (before > begin && (static_cast<unsigned char>(text_[before]) & 0xC0u) == 0x80u) --before;
      if (!is_trailing_mark(read_character(text_, before).code)) break;
      marks = before;
    }
    if (options_.urls != Guard::kOff && is_email(text_.substr(begin, marks - begin))) {
      add(begin, marks, WordKind::kUrl);
    } else if (marks > begin && is_abbreviation(word)) {
      add(begin, end, WordKind::kWord);
      return;
    } else {
      add(begin, marks, WordKind::kWord);
    }
    add(marks, end, WordKind::kPunctuation);
  }

  /// Words to which the full stop behind them belongs: "U.S.", "e.g.", "J.", "Dr.".
  static bool is_abbreviation(std::string_view word) noexcept {
    if (word.size() < 2 || word.back() != '.' || word[word.size() - 2] == '.') return false;
    const std::string_view stem = word.substr(0, word.size() - 1);
    if (stem.size() == 1) return stem[0] >= 'A' && stem[0] <= 'Z';
    if (stem.size() <= 8 && stem.find('.') != std::string_view::npos) return true;
    for (const std::string_view known :
         {"Mr", "Mrs", "Ms", "Dr", "St", "No", "vs", "etc", "Prof", "Jr", "Sr", "Inc", "Co"}) {
      if (stem == known) return true;
    }
    return false;
  }

  std::string_view text_;
  std::size_t offset_;
  std::int32_t segment_;
  const RefineOptions& options_;
  std::vector<PromptWord>& words_;
  std::vector<ByteSpan> json_;
  std::size_t next_json_ = 0;
};

[[nodiscard]] inline std::vector<PromptWord> split_words(std::span<const Segment> prompt,
                                                         std::string_view text,
                                                         const RefineOptions& options) {
  const ByteSpan question = options.protect_last_line ? last_line(text) : ByteSpan();
  std::vector<PromptWord> words;
  std::size_t offset = 0;
  for (std::size_t i = 0; i < prompt.size(); ++i) {
    const std::size_t size = prompt[i].text.size();
    const auto index = static_cast<std::int32_t>(i);
    if (!prompt[i].may_lose_words()) {
      if (size > 0) words.push_back({{offset, offset + size}, index, WordKind::kProtected});
    } else {
      ByteSpan own;
      if (question.end > offset && question.begin < offset + size) {
        own = {std::max(question.begin, offset) - offset, std::min(question.end, offset + size) - offset};
        own.begin = skip_white(prompt[i].text, own.begin);
        if (own.begin >= own.end) own = {};
      }
      WordSplitter(prompt[i].text, offset, index, options, words).split(own);
    }
    offset += size;
  }
  return words;
}

}  // namespace elms::inline v0::detail::refine
