#include "offline/tasks/words.hpp"

#include "elms/detail/error.hpp"
#include "elms/detail/random.hpp"

namespace elms::inline v0::offline::tasks {
namespace {

bool is_upper(char c) {
  return c >= 'A' && c <= 'Z';
}
bool is_lower(char c) {
  return c >= 'a' && c <= 'z';
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_blank(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}
char lowered(char c) {
  return is_upper(c) ? static_cast<char>(c - 'A' + 'a') : c;
}

}  // namespace

std::string snake_case(std::string_view name) {
  std::string out;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    if (!is_upper(c) && !is_lower(c) && !is_digit(c)) {
      if (!out.empty() && out.back() != '_') out += '_';
      continue;
    }
    // A capital begins a word after a small letter or digit, and at the end of an abbreviation: "HTTPPort",
    // "PlayTV".
    const bool after_small = i > 0 && (is_lower(name[i - 1]) || is_digit(name[i - 1]));
    const bool before_small = i > 0 && i + 1 < name.size() && is_upper(name[i - 1]) && is_lower(name[i + 1]);
    if (is_upper(c) && (after_small || before_small) && !out.empty() && out.back() != '_') out += '_';
    out += lowered(c);
  }
  while (!out.empty() && out.back() == '_') out.pop_back();
  return out;
}

std::string in_words(std::string_view name) {
  std::string out(name);
  for (char& c : out) {
    if (c == '_') c = ' ';
  }
  return out;
}

std::string one_line(std::string_view text) {
  std::string out;
  bool gap = false;
  for (const char c : text) {
    if (is_blank(c) || c == '\0') {
      gap = true;
      continue;
    }
    if (gap && !out.empty()) out += ' ';
    gap = false;
    out += c;
  }
  return out;
}

std::string plain_words(std::string_view text) {
  std::string out;
  bool gap = false;
  for (const char c : text) {
    const bool word = is_upper(c) || is_lower(c) || is_digit(c) || static_cast<unsigned char>(c) >= 0x80;
    if (!word && c != '\'') gap = true;
    if (!word) continue;
    if (gap && !out.empty()) out += ' ';
    gap = false;
    out += lowered(c);
  }
  return out;
}

std::string lower_case(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = lowered(c);
  return out;
}

std::string first_sentence(std::string_view text) {
  const std::string line = one_line(text);
  std::size_t end = line.find(". ");
  if (end == std::string::npos) end = line.size();
  std::string out = line.substr(0, end);
  while (!out.empty() && (out.back() == '.' || out.back() == ' ')) out.pop_back();
  return out;
}

std::uint64_t stable_hash(std::string_view text) noexcept {
  std::uint64_t hash = 0xCBF29CE484222325u;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3u;
  return detail::splitmix64(hash);
}

bool in_validation_split(std::string_view text) {
  return stable_hash(detail::concat("split:", plain_words(text))) % 20 == 0;
}

bool held_out_name(std::string_view data_set, std::string_view name) {
  return stable_hash(detail::concat("held out:", data_set, ":", name)) % 7 == 0;
}

}  // namespace elms::inline v0::offline::tasks
