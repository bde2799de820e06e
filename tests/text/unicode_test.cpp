#include "text/unicode.hpp"

#include <algorithm>
#include <cctype>

#include "support.hpp"
#include "text/normalize.hpp"

using namespace elms::detail;
using Kind = Utf8Unit::Kind;

namespace {
std::string utf8(char32_t c) {
  std::string out;
  append_utf8(out, c);
  return out;
}
std::string well_formed(std::string_view text) {
  std::string out;
  append_well_formed(out, text);
  return out;
}
}  // namespace

TEST_CASE("every code point survives UTF-8, surrogates do not exist", "[text][unicode]") {
  int n_wrong = 0;
  for (char32_t c = 0; c <= 0x10FFFF; ++c) {
    const std::string bytes = utf8(c);
    const Utf8Unit unit = read_utf8(bytes, 0);
    const bool surrogate = c >= 0xD800 && c <= 0xDFFF;
    n_wrong += surrogate ? unit.kind != Kind::kInvalid
                         : unit.kind != Kind::kCharacter || unit.code_point != c || unit.size != bytes.size();
  }
  CHECK(n_wrong == 0);
}

TEST_CASE("what is not UTF-8 is told from what is cut off", "[text][unicode]") {
  struct Case {
    std::string bytes;
    Kind kind;
    int size;
  };
  const std::vector<Case> cases = {{"\x80", Kind::kInvalid, 1},
                                   {"\xC0\x80", Kind::kInvalid, 1},
                                   {"\xC1\xBF", Kind::kInvalid, 1},
                                   {"\xC3", Kind::kCut, 1},
                                   {"\xC3(", Kind::kInvalid, 1},
                                   {"\xE0\x80\x80", Kind::kInvalid, 1},
                                   {"\xE0\xA0", Kind::kCut, 2},
                                   {"\xE2\x82(", Kind::kInvalid, 2},
                                   {"\xED\xA0\x80", Kind::kInvalid, 1},
                                   {"\xF0\x80\x80\x80", Kind::kInvalid, 1},
                                   {"\xF0\x9F\x98", Kind::kCut, 3},
                                   {"\xF0\x9F\x98(", Kind::kInvalid, 3},
                                   {"\xF4\x90\x80\x80", Kind::kInvalid, 1},
                                   {"\xF5\x80\x80\x80", Kind::kInvalid, 1},
                                   {"\xFF", Kind::kInvalid, 1}};
  for (const Case& c : cases) {
    const Utf8Unit unit = read_utf8(c.bytes, 0);
    INFO(Catch::StringMaker<std::string>::convert(c.bytes));
    CHECK(unit.kind == c.kind);
    CHECK(int{unit.size} == c.size);
  }
  CHECK(well_formed("a\xC3(\xF0\x9F\x98") == "a\uFFFD(\uFFFD");
  CHECK(well_formed("\xED\xA0\x80") == "\uFFFD\uFFFD\uFFFD");
}

TEST_CASE("characters are in the sets that expressions ask for", "[text][unicode]") {
  CHECK(char_sets(U'a') == (kLetter | kLower));
  CHECK(char_sets(U'Ω') == (kLetter | kUpper));
  CHECK(char_sets(0x01C5) == (kLetter | kUpper));  // a title-case letter
  CHECK(char_sets(U'中') == kLetter);
  CHECK(char_sets(U'½') == kNumber);
  CHECK(char_sets(0x0661) == kNumber);
  CHECK(char_sets(0x0301) == (kMark | kNonspacingMark));
  CHECK(char_sets(0x093F) == kMark);  // a spacing mark
  CHECK(char_sets(U'_') == kPunctuation);
  CHECK(char_sets(U'$') == kSymbol);
  CHECK(char_sets(0xFFFD) == kSymbol);
  CHECK(char_sets(U' ') == kWhitespace);
  CHECK(char_sets(0x3000) == kWhitespace);
  CHECK(char_sets(0x2028) == kWhitespace);
  CHECK(char_sets(U'\n') == (kControl | kWhitespace));
  CHECK(char_sets(0x85) == (kControl | kWhitespace));
  CHECK(char_sets(0x1C) == kControl);
  CHECK(char_sets(0x200B) == kControl);
  CHECK(char_sets(0x0378) == 0);  // not assigned
}

TEST_CASE("every ASCII character is in the sets that the C library has it in", "[text][unicode]") {
  for (char32_t c = 0; c < 0x80; ++c) {
    const auto byte = static_cast<int>(c);
    INFO(byte);
    const CharSets sets = char_sets(c);
    CHECK(((sets & kLetter) != 0) == (std::isalpha(byte) != 0));
    CHECK(((sets & kUpper) != 0) == (std::isupper(byte) != 0));
    CHECK(((sets & kLower) != 0) == (std::islower(byte) != 0));
    CHECK(((sets & kNumber) != 0) == (std::isdigit(byte) != 0));
    CHECK(((sets & (kPunctuation | kSymbol)) != 0) == (std::ispunct(byte) != 0));
    CHECK(((sets & kWhitespace) != 0) == (std::isspace(byte) != 0));
    CHECK(((sets & kControl) != 0) == (std::iscntrl(byte) != 0));
    CHECK((sets & (kMark | kNonspacingMark)) == 0);
    const bool symbol = std::string_view("$+<=>^`|~").find(static_cast<char>(c)) != std::string_view::npos;
    CHECK(((sets & kSymbol) != 0) == symbol);
  }
}

TEST_CASE("ASCII is normalised as it is beside other characters", "[text][unicode]") {
  auto rng = elms_test::make_rng(12);
  for (int round = 0; round < 2000; ++round) {
    std::string text;
    for (std::size_t n = rng() % 20; n > 0; --n) text += static_cast<char>(rng() % 128);
    std::vector<NormalizerStep> steps = bert_normalizer(round % 2 == 0, true, round % 3 == 0, round % 5 == 0);
    if (round % 7 == 0)
      steps.push_back({.kind = NormalizerStep::Kind::kReplace, .text = "a", .replacement = "\u00E9"});
    if (round % 7 < 2) steps.push_back({.kind = NormalizerStep::Kind::kNfkd});
    std::string alone, beside;
    normalize(steps, text, alone);
    normalize(steps, text + "\u03C9", beside);  // which no step changes
    REQUIRE(beside == alone + "\u03C9");
  }
}

TEST_CASE("normal forms", "[text][unicode]") {
  const std::string composed = "é";
  const std::string decomposed = "e\u0301";
  CHECK(to_normal_form(composed, NormalForm::kNfd) == decomposed);
  CHECK(to_normal_form(decomposed, NormalForm::kNfc) == composed);
  CHECK(to_normal_form("한", NormalForm::kNfd) == "\u1112\u1161\u11AB");
  CHECK(to_normal_form("\u1112\u1161\u11AB", NormalForm::kNfc) == "한");
  CHECK(to_normal_form("q\u0307\u0323", NormalForm::kNfd) == "q\u0323\u0307");  // canonical order
  CHECK(to_normal_form("\u212B", NormalForm::kNfc) == "Å");
  CHECK(to_normal_form("\u0958", NormalForm::kNfc) == "\u0915\u093C");  // excluded from composition
  CHECK(to_normal_form("ﬁ²", NormalForm::kNfc) == "ﬁ²");
  CHECK(to_normal_form("ﬁ²", NormalForm::kNfkc) == "fi2");
  CHECK(to_normal_form("é\xFF", NormalForm::kNfd) == decomposed + "\xFF");
}

TEST_CASE("a long run of combining marks is put in order", "[text][unicode]") {
  const std::string above = "\u0302", below = "\u0323";
  std::string mixed = "a", ordered = "a";
  constexpr int kPairs = 100000;  // neighbour swaps would take 10^10 steps
  for (int i = 0; i < kPairs; ++i) mixed += above + below;
  for (int i = 0; i < kPairs; ++i) ordered += below;
  for (int i = 0; i < kPairs; ++i) ordered += above;
  CHECK(to_normal_form(mixed, NormalForm::kNfd) == ordered);
}

TEST_CASE("lower case", "[text][unicode]") {
  const auto lower = [](char32_t c) {
    std::string out;
    append_lower(out, c);
    return out;
  };
  CHECK(lower(U'A') == "a");
  CHECK(lower(U'Ö') == "ö");
  CHECK(lower(U'Σ') == "σ");
  CHECK(lower(0x130) == "i\u0307");
  CHECK(lower(U'ß') == "ß");
}
