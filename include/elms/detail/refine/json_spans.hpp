// Where a text holds JSON: all objects and arrays that parse (RFC 8259) and hold enough to be meant as such,
// found in one pass. A bracket that turns out not to be JSON costs nothing: its inner values may still be.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "elms/refine_options.hpp"

namespace elms::inline v0::detail::refine {

class JsonFinder {
 public:
  explicit JsonFinder(std::string_view text) noexcept : text_(text) {}

  /// The outermost values, in order. An object counts with a member, an array with two values or with a
  /// string, an object or an array in it: "[1]" and "{}" are as often something else.
  [[nodiscard]] std::vector<ByteSpan> find() {
    for (std::size_t at = 0; at < text_.size();) at = step(at);
    std::vector<ByteSpan> spans;
    for (const Found& found : found_) {
      if (found.counts) spans.push_back(found.span);
    }
    return spans;
  }

 private:
  enum class Expects : std::uint8_t { kValueOrEnd, kValue, kCommaOrEnd, kKeyOrEnd, kKey, kColon };
  struct Open {
    std::size_t begin;
    bool object;
    Expects expects;
    std::size_t n_values;
    bool has_nested;
    std::size_t n_found;  ///< complete values before it began
  };
  struct Found {
    ByteSpan span;
    bool counts;
  };

  static bool is_blank(char c) noexcept { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

  /// Reads what stands at `at` and returns where to go on.
  std::size_t step(std::size_t at) {
    if (open_.empty()) {
      while (at < text_.size() && text_[at] != '{' && text_[at] != '[') ++at;
      if (at < text_.size()) begin_container(at);
      return at + 1;
    }
    const char c = text_[at];
    if (is_blank(c)) return at + 1;
    Open& top = open_.back();
    const bool wants_value = top.expects == Expects::kValue || top.expects == Expects::kValueOrEnd;
    const bool wants_key = top.expects == Expects::kKey || top.expects == Expects::kKeyOrEnd;
    if (c == '{' || c == '[') {
      if (!wants_value) open_.clear();
      begin_container(at);
      return at + 1;
    }
    if (c == (top.object ? '}' : ']')) {
      const bool may_end = top.expects == Expects::kCommaOrEnd || top.expects == Expects::kValueOrEnd ||
                           top.expects == Expects::kKeyOrEnd;
      if (may_end) {
        end_container(at + 1);
      } else {
        open_.clear();
      }
      return at + 1;
    }
    if (c == ',' && top.expects == Expects::kCommaOrEnd) {
      top.expects = top.object ? Expects::kKey : Expects::kValue;
      return at + 1;
    }
    if (c == ':' && top.expects == Expects::kColon) {
      top.expects = Expects::kValue;
      return at + 1;
    }
    const std::size_t end = c == '"' && (wants_value || wants_key) ? end_of_string(at)
                            : wants_value                          ? end_of_scalar(at)
                                                                   : 0;
    if (end == 0) {  // no JSON after all: what is open here is given up
      open_.clear();
      return at + 1;
    }
    if (wants_key) {
      top.expects = Expects::kColon;
    } else {
      add_value(top, c == '"');
    }
    return end;
  }

  void begin_container(std::size_t at) {
    const bool object = text_[at] == '{';
    open_.push_back(
        {at, object, object ? Expects::kKeyOrEnd : Expects::kValueOrEnd, 0, false, found_.size()});
  }

  static void add_value(Open& container, bool nested) noexcept {
    container.expects = Expects::kCommaOrEnd;
    ++container.n_values;
    container.has_nested |= nested;
  }

  void end_container(std::size_t end) {
    const Open done = open_.back();
    open_.pop_back();
    const bool counts = done.object ? done.n_values > 0 : done.n_values > 1 || done.has_nested;
    if (counts || !open_.empty()) {
      if (counts) found_.resize(done.n_found, {});
      found_.push_back({{done.begin, end}, counts});
    }
    if (!open_.empty()) add_value(open_.back(), true);
  }

  /// Past the closing quote; 0 where there is none on the line.
  std::size_t end_of_string(std::size_t at) {
    if (at < unclosed_until_) return 0;
    std::size_t end = at + 1;
    for (; end < text_.size() && static_cast<unsigned char>(text_[end]) >= 0x20; ++end) {
      if (text_[end] == '"') return end + 1;
      if (text_[end] == '\\') ++end;
    }
    unclosed_until_ = at + 1;
    // Without a quote up to here no later string can end before here either.
    bool quoted = false;
    for (std::size_t i = at + 1; i < end && i < text_.size(); ++i) quoted |= text_[i] == '"';
    if (!quoted) unclosed_until_ = end;
    return 0;
  }

  /// Past a number, true, false or null; 0 where there is none.
  [[nodiscard]] std::size_t end_of_scalar(std::size_t at) const noexcept {
    for (const std::string_view name :
         {std::string_view("true"), std::string_view("false"), std::string_view("null")}) {
      if (text_.substr(at, name.size()) == name) return at + name.size();
    }
    std::size_t end = at;
    const auto peek = [&] { return end < text_.size() ? text_[end] : '\0'; };
    const auto digits = [&] {
      const std::size_t begin = end;
      while (peek() >= '0' && peek() <= '9') ++end;
      return end > begin;
    };
    if (peek() == '-') ++end;
    if (!digits()) return 0;
    if (peek() == '.') {
      ++end;
      if (!digits()) return 0;
    }
    if (peek() == 'e' || peek() == 'E') {
      ++end;
      if (peek() == '+' || peek() == '-') ++end;
      if (!digits()) return 0;
    }
    return end;
  }

  std::string_view text_;
  std::vector<Open> open_;
  std::vector<Found> found_;
  std::size_t unclosed_until_ = 0;
};

}  // namespace elms::inline v0::detail::refine
