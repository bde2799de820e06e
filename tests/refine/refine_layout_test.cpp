// What whitespace is left where words went away.
#include "elms/refine.hpp"
#include "support.hpp"

using elms::Segment;

namespace {

/// What is left of a prompt without the words of `dropped`.
std::string without(const std::vector<Segment>& prompt, const std::vector<std::string>& dropped) {
  std::string text;
  for (const Segment& segment : prompt) text += segment.text;
  const elms::detail::refine::Layout layout(text, elms::prompt_words(prompt));
  std::vector<std::uint8_t> kept;
  for (std::size_t i = 0; i < layout.words().size(); ++i) {
    kept.push_back(std::find(dropped.begin(), dropped.end(), layout.text_of(i)) == dropped.end() ? 1 : 0);
  }
  elms::detail::refine::SpanText out;
  layout.render(kept, out);
  return out.text;
}

std::string without(const std::string& text, const std::vector<std::string>& dropped) {
  return without(std::vector<Segment>{Segment::compress(text)}, dropped);
}

}  // namespace

TEST_CASE("a dropped word leaves one space", "[refine]") {
  CHECK(without("a b c", {"b"}) == "a c");
  CHECK(without("a  b  c", {"b"}) == "a c");
  CHECK(without("a  c", {}) == "a  c");
  CHECK(without("a b c", {"a"}) == "b c");
  CHECK(without("a b c", {"c"}) == "a b");
  CHECK(without("a b, c", {"b"}) == "a, c");
  CHECK(without("a b c", {"a", "b", "c"}).empty());
}

TEST_CASE("lines and paragraphs stay, empty lines go", "[refine]") {
  CHECK(without("a b\nc d\ne f\n", {"c", "d"}) == "a b\ne f\n");
  CHECK(without("a b\nc d\n", {"b"}) == "a\nc d\n");
  CHECK(without("a b\nc d\n", {"b", "c"}) == "a\nd\n");
  CHECK(without("a\n\nb\n\nc", {"b"}) == "a\n\nc");
  CHECK(without("a\n\n\n\nb c", {"b"}) == "a\n\nc");
  CHECK(without("a b\nc\n\n\nd", {"c"}) == "a b\n\nd");
  CHECK(without("a b\r\nc d\r\ne", {"c", "d"}) == "a b\r\ne");
  CHECK(without("if x:\n    a\n    b c\n", {"a"}) == "if x:\n    b c\n");
  CHECK(without("if x:\n    a\n    b c\n", {"a", "b"}) == "if x:\n    c\n");
  CHECK(without("a b\nc d\n", {"d"}) == "a b\nc\n");
}

TEST_CASE("the edges of protected text count as line breaks", "[refine]") {
  const auto prompt = [](const char* context) {
    return std::vector<Segment>{Segment::protect("Header:\n"), Segment::compress(context),
                                Segment::protect("\nQuestion")};
  };
  CHECK(without(prompt("a b\nc d"), {"a", "b"}) == "Header:\nc d\nQuestion");
  CHECK(without(prompt("a b\nc d"), {"c", "d"}) == "Header:\na b\nQuestion");
  CHECK(without(prompt("a b\nc d"), {"a", "b", "c", "d"}) == "Header:\n\nQuestion");
  const std::vector<Segment> inline_parts = {Segment::protect("say "), Segment::compress("a b"),
                                             Segment::protect(" now")};
  CHECK(without(inline_parts, {"a"}) == "say b now");
  CHECK(without(inline_parts, {"b"}) == "say a now");
}
