// What counts as a word, and what guards keep whole.
#include "random_prompts.hpp"

using elms::RefineOptions;
using elms::Segment;
using elms::WordKind;

namespace {

/// Words joined by '|'.
std::string words_of(const std::string& text, const RefineOptions& options = {}) {
  std::string joined;
  for (const elms::PromptWord& word :
       elms::prompt_words(std::vector<Segment>{Segment::compress(text)}, options)) {
    if (!joined.empty()) joined += '|';
    joined += text.substr(word.span.begin, word.span.size());
  }
  return joined;
}

bool is_one(const std::string& text, WordKind kind) {
  const auto words = elms::prompt_words(std::vector<Segment>{Segment::compress("x " + text + " y")});
  return words.size() == 3 && words[1].kind == kind && words[1].span.size() == text.size();
}

}  // namespace

TEST_CASE("words end at blanks, their marks are words of their own", "[refine]") {
  CHECK(words_of("Hello, world! (yes) it's state-of-the-art.") ==
        "Hello|,|world|!|(yes)|it's|state-of-the-art|.");
  CHECK(words_of("the U.S. and e.g. J. Smith, Dr. No") == "the|U.S.|and|e.g.|J.|Smith|,|Dr.|No");
  CHECK(words_of("wait... what?!") == "wait|...|what|?!");
  CHECK(words_of("  \n\t ").empty());
  CHECK(words_of("a\xC2\xA0"
                 "b") == "a|b");
}

TEST_CASE("scripts without spaces fall into characters, emoji stay whole", "[refine]") {
  CHECK(words_of("你好，世界。") == "你|好|，|世|界|。");
  CHECK(words_of("abc漢字def") == "abc|漢|字|def");
  CHECK(words_of("hi👨‍👩‍👧👍🏽🇩🇪🇫🇷") ==
        "hi|👨‍👩‍👧|👍🏽|🇩🇪|🇫🇷");
  CHECK(words_of("が\xE3\x82\x99か") == "が\xE3\x82\x99|か");  // a mark stays with its letter
  CHECK(words_of("한국어 말") == "한국어|말");
  CHECK(words_of("\xFF\xFE x") == "\xFF\xFE|x");
}

TEST_CASE("guards keep markers, JSON, code, URLs and numbers whole", "[refine]") {
  CHECK(is_one("<|im_start|>user", WordKind::kMarker));
  CHECK(is_one("<|eot_id|>", WordKind::kMarker));
  CHECK(is_one("[/INST]", WordKind::kMarker));
  CHECK(is_one("<start_of_turn>model", WordKind::kMarker));
  CHECK(
      is_one("<\xEF\xBD\x9C"
             "User\xEF\xBD\x9C>",
             WordKind::kMarker));
  CHECK(is_one("{\"a\": [1, 2.5e3, true], \"b\\\"\": {}}", WordKind::kJson));
  CHECK(is_one("[\"a b\", {\"c\": null}]", WordKind::kJson));
  CHECK(is_one("`a b`", WordKind::kCode));
  CHECK(is_one("``a ` b``", WordKind::kCode));
  CHECK(is_one("https://a.org/b_(c)?d=e", WordKind::kUrl));
  CHECK(is_one("www.a.org", WordKind::kUrl));
  CHECK(is_one("a.b@c.org", WordKind::kUrl));
  for (const char* number : {"5", "-3.5", "$1,000.50", "$ 5", "25%", "25 %", "3.5 kg", "10km/h", "10 km/h",
                             "2024-05-01", "10:30 pm", "1st", "(25%)", "€5", "20 °C", "3 million", "5 p.m"}) {
    INFO(number);
    CHECK(is_one(number, WordKind::kNumber));
  }
  CHECK(words_of("5 a day") == "5|a|day");
  CHECK(words_of("它重3公斤。") == "它|重|3|公|斤|。");
  CHECK(words_of("花了5元") == "花|了|5元");
}

TEST_CASE("guards take what is meant and no more", "[refine]") {
  CHECK(words_of("see https://a.org/b. Then (https://c.org/d), ok") ==
        "see|https://a.org/b|.|Then|(|https://c.org/d|)|,|ok");
  CHECK(words_of("a {b c} [1] {\"d\": e} x") == "a|{b|c}|[1]|{\"d\"|:|e}|x");
  CHECK(words_of("[not json {\"a b\": 1} more") == "[not|json|{\"a b\": 1}|more");
  CHECK(words_of("a `b c") == "a|`b|c");
  CHECK(words_of("a < b <| c |> d") == "a|<|b|<||c||>|d");
  CHECK(words_of("[INST]Hello[/INST]") == "[INST]|Hello|[/INST]");
  CHECK(words_of("1. first\n2) second") == "1.|first|2)|second");
  CHECK(words_of("x\n```py\na = 1\n\nb\n```\ny") == "x|```py\na = 1\n\nb\n```|y");
  CHECK(words_of("x\n```\nnever closed\n\n") == "x|```\nnever closed\n\n");
  RefineOptions off;
  off.json = off.code = off.markers = off.urls = off.numbers = elms::Guard::kOff;
  CHECK(words_of("[\"a b\", 3.5 kg] `c d`", off) == "[\"a|b\"|,|3.5|kg]|`c|d`");
}

TEST_CASE("the last line is one protected word on request", "[refine]") {
  RefineOptions options;
  options.protect_last_line = true;
  CHECK(words_of("a b\n\n  what is  it?\n \n", options) == "a|b|what is  it?");
  CHECK(words_of("only one", options) == "only one");
  CHECK(words_of("a\n```\nb c", options) == "a|```\nb c");
  CHECK(words_of("a\n[\"b\",\n \"c\"] and so on", options) == "a|[\"b\",\n \"c\"]|and so on");
}

TEST_CASE("words of any bytes are in order, apart, and hold all that is not blank", "[refine]") {
  std::mt19937 rng = elms_test::make_rng(74);
  for (int round = 0; round < 3000; ++round) {
    std::string text = elms_test::random_prompt_text(rng, rng() % 6);
    constexpr std::string_view kHostile = "{}[]\"\\`<>|:,~ \n0a$@.";
    for (std::size_t n = rng() % 12; n > 0; --n) {
      const auto at = static_cast<std::ptrdiff_t>(rng() % (text.size() + 1));
      text.insert(text.begin() + at,
                  rng() % 4 == 0 ? static_cast<char>(rng()) : kHostile[rng() % kHostile.size()]);
    }
    CAPTURE(round, text);
    RefineOptions options;
    options.protect_last_line = rng() % 2 == 0;
    std::size_t end = 0;
    for (const elms::PromptWord& word :
         elms::prompt_words(std::vector<Segment>{Segment::compress(text)}, options)) {
      REQUIRE(word.span.begin < word.span.end);
      REQUIRE(word.span.begin >= end);
      REQUIRE(elms::detail::refine::skip_white(text, end) == word.span.begin);
      end = word.span.end;
    }
    REQUIRE(elms::detail::refine::skip_white(text, end) == text.size());
  }
}
