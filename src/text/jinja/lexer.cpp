#include <array>

#include "text/jinja/jinja.hpp"
#include "text/unicode.hpp"

namespace elms::inline v0::detail::jinja {
namespace {

bool is_tag_blank(char c) noexcept {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\v' || c == '\f';
}
bool is_digit_char(char c) noexcept {
  return c >= '0' && c <= '9';
}
bool is_word_char(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || is_digit_char(c);
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(source) {
    if (source_.ends_with('\n')) source_.remove_suffix(1);
  }

  Result<std::vector<Token>> run() {
    while (at_ < source_.size()) ELMS_RETURN_IF_ERROR(read_text_and_tag());
    add(Token::Type::kEnd, {}, source_.size());
    return std::move(tokens_);
  }

 private:
  [[nodiscard]] bool looking_at(std::string_view text) const noexcept {
    return source_.substr(at_).starts_with(text);
  }
  Status fail(std::size_t offset, std::string_view what) const {
    return unsupported("chat template, offset ", offset, ": ", what);
  }
  void add(Token::Type type, std::string value, std::size_t offset) {
    tokens_.push_back({type, std::move(value), offset});
  }

  void skip_blanks() noexcept {
    while (at_ < source_.size() && is_tag_blank(source_[at_])) ++at_;
  }

  /// Where a tag begins next; the source's end where none does.
  [[nodiscard]] std::size_t find_tag() const noexcept {
    for (std::size_t i = at_; i + 1 < source_.size(); ++i) {
      if (source_[i] == '{' && (source_[i + 1] == '%' || source_[i + 1] == '{' || source_[i + 1] == '#'))
        return i;
    }
    return source_.size();
  }

  /// Text up to the next tag, less what the tag takes of the blanks before it.
  void add_text(std::size_t end) {
    std::size_t kept = end;
    if (end < source_.size()) {
      const char mark = end + 2 < source_.size() ? source_[end + 2] : '\0';
      if (mark == '-') {
        while (kept > at_ && is_tag_blank(source_[kept - 1])) --kept;
      } else if (source_[end + 1] != '{' &&
                 mark != '+') {  // lstrip_blocks: only blanks between line start and block
        std::size_t line = end;
        while (line > at_ && (source_[line - 1] == ' ' || source_[line - 1] == '\t')) --line;
        if (line == 0 || source_[line - 1] == '\n') kept = line;
      }
    }
    if (kept > at_) add(Token::Type::kText, std::string(source_.substr(at_, kept - at_)), at_);
    at_ = end;
  }

  Status read_text_and_tag() {
    add_text(find_tag());
    if (at_ == source_.size()) return {};
    if (looking_at("{#")) return skip_comment();
    const bool output = looking_at("{{");
    add(output ? Token::Type::kOpenOutput : Token::Type::kOpenStatement, {}, at_);
    at_ += 2;
    if (looking_at("-") || looking_at("+")) ++at_;
    return read_expression(output);
  }

  /// What a closing tag takes of the blanks after it.
  void close(std::size_t size, bool trims_line) noexcept {
    const bool strips = source_[at_] == '-';
    at_ += size;
    if (strips) {
      skip_blanks();
    } else if (trims_line && looking_at("\n")) {
      ++at_;
    }
  }

  Status skip_comment() {
    const std::size_t begin = at_, end = source_.find("#}", at_ + 2);
    if (end == std::string_view::npos) return fail(begin, "a comment that does not end");
    at_ = end;
    if (end > begin + 2 && source_[end - 1] == '-') {
      --at_;
      close(3, true);
    } else {
      close(2, true);
    }
    return {};
  }

  Status read_expression(bool output) {
    const std::string_view end = output ? "}}" : "%}";
    const std::size_t begin = at_;
    int open_braces = 0;
    while (true) {
      skip_blanks();
      if (at_ >= source_.size()) return fail(begin, "a tag that does not end");
      const bool marked = source_[at_] == '-' || source_[at_] == '+';
      if (open_braces == 0 && (looking_at(end) || (marked && source_.substr(at_ + 1).starts_with(end)))) {
        add(output ? Token::Type::kCloseOutput : Token::Type::kCloseStatement, {}, at_);
        close(marked ? 3 : 2, !output);
        return {};
      }
      if (source_[at_] == '{') ++open_braces;
      if (source_[at_] == '}') --open_braces;
      ELMS_RETURN_IF_ERROR(read_token());
    }
  }

  Status read_token() {
    const char c = source_[at_];
    if (c == '\'' || c == '"') return read_string(c);
    if (is_digit_char(c)) return read_number();
    if (is_word_char(c)) {
      const std::size_t begin = at_;
      while (at_ < source_.size() && is_word_char(source_[at_])) ++at_;
      add(Token::Type::kName, std::string(source_.substr(begin, at_ - begin)), begin);
      return {};
    }
    for (const std::string_view symbol : kSymbols) {
      if (!looking_at(symbol)) continue;
      add(Token::Type::kSymbol, std::string(symbol), at_);
      at_ += symbol.size();
      return {};
    }
    return fail(at_, "a character that means nothing here");
  }

  Status read_number() {
    const std::size_t begin = at_;
    bool real = false;
    while (at_ < source_.size() && is_digit_char(source_[at_])) ++at_;
    if (at_ + 1 < source_.size() && source_[at_] == '.' && is_digit_char(source_[at_ + 1])) {
      real = true;
      for (++at_; at_ < source_.size() && is_digit_char(source_[at_]);) ++at_;
    }
    if (at_ - begin > 15) return fail(begin, "a number of more than 15 digits");
    add(real ? Token::Type::kReal : Token::Type::kInteger, std::string(source_.substr(begin, at_ - begin)),
        begin);
    return {};
  }

  Status read_string(char quote) {
    const std::size_t begin = at_++;
    std::string value;
    for (; at_ < source_.size() && source_[at_] != quote; ++at_) {
      if (source_[at_] != '\\') {
        value.push_back(source_[at_]);
        continue;
      }
      if (++at_ >= source_.size()) break;
      ELMS_RETURN_IF_ERROR(read_escape(value));
    }
    if (at_ >= source_.size()) return fail(begin, "a string that does not end");
    ++at_;
    add(Token::Type::kString, std::move(value), begin);
    return {};
  }

  /// at_ is behind the backslash, and stays on the last character.
  Status read_escape(std::string& value) {
    constexpr std::string_view kLetters = "ntrbfv'\"\\", kMeanings = "\n\t\r\b\f\v'\"\\";
    const char c = source_[at_];
    if (const std::size_t i = kLetters.find(c); i != std::string_view::npos) {
      value.push_back(kMeanings[i]);
      return {};
    }
    const std::size_t n_digits = c == 'x' ? 2 : c == 'u' ? 4 : 0;
    if (n_digits == 0 || at_ + n_digits >= source_.size()) return fail(at_, "an escape that is not known");
    std::uint32_t code_point = 0;
    for (std::size_t i = 0; i < n_digits; ++i) {
      const char digit = source_[++at_];
      const std::size_t lower = std::string_view("0123456789abcdef").find(digit);
      const std::size_t upper = std::string_view("0123456789ABCDEF").find(digit);
      if (lower == std::string_view::npos && upper == std::string_view::npos)
        return fail(at_, "no hexadecimal digit");
      code_point =
          code_point * 16 + static_cast<std::uint32_t>(lower != std::string_view::npos ? lower : upper);
    }
    if (code_point >= 0xD800 && code_point < 0xE000) return fail(at_, "an escape of half a character");
    append_utf8(value, static_cast<char32_t>(code_point));
    return {};
  }

  // Longer ones first.
  static constexpr std::array<std::string_view, 26> kSymbols = {
      "**", "//", "==", "!=", "<=", ">=", "(", ")", "[", "]", "{", "}", ",",
      ".",  ":",  "|",  "=",  "<",  ">",  "+", "-", "~", "*", "/", "%", "!"};

  std::string_view source_;
  std::size_t at_ = 0;
  std::vector<Token> tokens_;
};

}  // namespace

Result<std::vector<Token>> tokenize(std::string_view source) {
  return Lexer(source).run();
}

}  // namespace elms::inline v0::detail::jinja
