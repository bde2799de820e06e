#include "elms/detail/stop_strings.hpp"

#include <string>
#include <vector>

#include "support.hpp"

using elms::detail::is_utf8;
using elms::detail::StopMatcher;

namespace {
struct Outcome {
  std::string text;
  bool stopped = false;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

std::ostream& operator<<(std::ostream& out, const Outcome& outcome) {
  return out << '"' << outcome.text << '"' << (outcome.stopped ? " stopped" : " to the end");
}

/// The definition: the shortest prefix of the text that ends with a stop string, without the longest one it
/// ends with.
Outcome reference(const std::string& text, const std::vector<std::string>& stop) {
  for (std::size_t end = 1; end <= text.size(); ++end) {
    std::size_t longest = 0;
    for (const std::string& string : stop) {
      if (string.size() <= end && text.compare(end - string.size(), string.size(), string) == 0) {
        longest = std::max(longest, string.size());
      }
    }
    if (longest != 0) return {text.substr(0, end - longest), true};
  }
  return {text, false};
}

/// Pushes the text in pieces that end after every byte whose bit is set in `cuts`.
Outcome stream(const std::string& text, const std::vector<std::string>& stop, std::uint64_t cuts) {
  StopMatcher matcher(stop);
  Outcome out;
  std::size_t begin = 0;
  for (std::size_t end = 1; end <= text.size(); ++end) {
    if (end != text.size() && ((cuts >> (end - 1)) & 1u) == 0) continue;
    const StopMatcher::Step step = matcher.push(std::string_view(text).substr(begin, end - begin));
    out.text += step.released;
    if (step.stopped) {
      out.stopped = true;
      return out;
    }
    begin = end;
  }
  out.text += matcher.finish();
  return out;
}
}  // namespace

TEST_CASE("stop strings are found however the text is cut", "[sampling][stop]") {
  struct Case {
    std::string text;
    std::vector<std::string> stop;
  };
  const std::vector<Case> cases = {
      {"hello STOP rest", {"STOP"}},
      {"aaaaaab", {"aaab"}},                    // the match starts inside a failed one
      {"abababcab", {"ababc"}},                 // falls back to a border
      {"xabcabcy", {"abcabcd", "bca"}},         // one string fails after the other is complete
      {"one two", {"o two", "two", "t"}},       // the shortest prefix wins, not the first in the list
      {"say <end>", {"<end>", "end>", "nd>"}},  // several end at the same byte: the longest
      {"ends with ST", {"STOP"}},               // held back, then released
      {"STOP", {"STOP"}},
      {"no such thing", {"STOP", "\n\n"}},
      {"line\n\nnext", {"\n\n"}},
      {"anything", {}},
  };
  for (const Case& test : cases) {
    const Outcome expected = reference(test.text, test.stop);
    for (std::uint64_t cuts = 0; cuts < (std::uint64_t{1} << (test.text.size() - 1)); ++cuts) {
      REQUIRE(stream(test.text, test.stop, cuts) == expected);
    }
  }
}

TEST_CASE("stop strings match their definition on random text", "[sampling][stop]") {
  std::mt19937 rng = elms_test::make_rng(20);
  int n_stopped = 0;
  for (int round = 0; round < 20000; ++round) {
    const auto random_string = [&](std::size_t max_length) {
      std::string text(1 + rng() % max_length, 'a');
      for (char& c : text) c = static_cast<char>('a' + rng() % 2);
      return text;
    };
    std::vector<std::string> stop(rng() % 4);
    for (std::string& string : stop) string = random_string(7);
    const std::string text = random_string(40);
    const Outcome expected = reference(text, stop);
    n_stopped += expected.stopped;
    REQUIRE(stream(text, stop, rng() | std::uint64_t{rng()} << 32) == expected);
  }
  CHECK(n_stopped > 1000);
  CHECK(n_stopped < 19000);
}

TEST_CASE("stop strings hold back no more than they must", "[sampling][stop]") {
  StopMatcher matcher(std::vector<std::string>{"ababc", "xyz"});
  CHECK(matcher.push("hello").released == "hello");
  CHECK(matcher.push("ab").released.empty());
  CHECK(matcher.push("ab").released.empty());
  CHECK(matcher.push("a").released == "ab");  // "aba" may still become "ababc"
  CHECK(matcher.push("x").released == "aba");
  CHECK(matcher.push("y").released.empty());
  CHECK(matcher.push(" ").released == "xy ");
  CHECK(matcher.finish().empty());
}

TEST_CASE("is_utf8 accepts exactly the well-formed sequences", "[sampling][stop]") {
  for (const char* good : {"", "plain", "\xC2\x80", "\xDF\xBF", "\xE0\xA0\x80", "\xED\x9F\xBF",
                           "\xEE\x80\x80", "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF", "a\xE2\x82\xAC z"}) {
    CHECK(is_utf8(good));
  }
  for (const char* bad :
       {"\x80", "\xC0\x80", "\xC1\xBF", "\xC2", "\xC2z", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xE2\x82",
        "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF", "ok\xE2\x82"}) {
    CHECK_FALSE(is_utf8(bad));
  }
}
