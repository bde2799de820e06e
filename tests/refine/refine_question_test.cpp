// What a question does to the parts of a prompt: RefineFilter::kQuestion.
#include "elms/detail/refine/relevance.hpp"
#include "random_prompts.hpp"

using elms::RefineBudget;
using elms::RefineFilter;
using elms::RefineOptions;
using elms::Segment;
using elms_test::mini_tokenizer;

namespace {

std::vector<Segment> functions_and(const std::string& request) {
  return {Segment::compress("Choose a function.\nset_alarm: ring at a time\nlights_on: light in a room\n"
                            "play_music: put on a song\nweather: tell if it will rain\n"),
          Segment::protect("Request: " + request + "\nFunction:", elms::SegmentRole::kQuestion)};
}

std::string refined_text(const std::vector<Segment>& prompt, double ratio,
                         const RefineOptions& options = {}) {
  const std::vector<float> scores(elms::prompt_words(prompt, options).size(), 0.5f);
  const auto refined =
      elms::refine_by_scores(prompt, scores, mini_tokenizer(), RefineBudget::keep(ratio), options);
  REQUIRE_OK(refined);
  REQUIRE(refined->tokens_after <= refined->budget_tokens);
  return refined->text;
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("refine_by_scores keeps the lines that are about the question", "[refine]") {
  const std::string lights = refined_text(functions_and("make it lighter here, all lights"), 0.6);
  CHECK(has(lights, "lights_on: light in a room\n"));
  CHECK(has(lights, "Request: make it lighter here, all lights\nFunction:"));
  const std::string rain = refined_text(functions_and("Does it RAIN today, what is the weather?"), 0.6);
  CHECK(has(rain, "weather: tell if it will rain\n"));
  CHECK_FALSE(has(rain, "lights_on: light in a room\n"));

  RefineOptions last_line;
  last_line.protect_last_line = true;
  const std::string song = refined_text(
      {Segment::compress("The lake is deep. A song was put on at nine. Rain fell.\nWho put on songs?")}, 0.75,
      last_line);
  CHECK(has(song, "A song was put on at nine."));

  const std::string han = refined_text(
      {Segment::compress("\u5929\u6c14\u5f88\u597d\u3002\n\u97f3\u4e50\u5f88\u5927\u58f0\u3002\n"),
       Segment::protect("\u97f3\u4e50\uff1f", elms::SegmentRole::kQuestion)},
      0.7);
  CHECK(has(han, "\u97f3\u4e50"));
  CHECK_FALSE(has(han, "\u5929\u6c14\u5f88\u597d"));
}

TEST_CASE("refine_by_scores without anything to ask cuts by words", "[refine]") {
  RefineOptions words;
  words.filter = RefineFilter::kNone;
  std::mt19937 rng = elms_test::make_rng(76);
  int n_differ = 0;
  for (int round = 0; round < 200; ++round) {
    const std::vector<Segment> context = {Segment::compress(elms_test::random_prompt_text(rng, 20))};
    const std::vector<float> scores = elms_test::random_scores(rng, elms::prompt_words(context).size());
    const RefineBudget budget = RefineBudget::keep(0.5);
    const auto by_default = elms::refine_by_scores(context, scores, mini_tokenizer(), budget);
    const auto by_words = elms::refine_by_scores(context, scores, mini_tokenizer(), budget, words);
    REQUIRE(by_default.has_value() == by_words.has_value());
    if (by_default.has_value()) REQUIRE(by_default->text == by_words->text);
    // A question that shares words does make a difference.
    std::vector<Segment> asked = context;
    asked.push_back(Segment::protect("\n" + context[0].text.substr(0, 40), elms::SegmentRole::kQuestion));
    std::vector<float> more = scores;
    more.resize(elms::prompt_words(asked).size(), 0.0f);
    const auto with = elms::refine_by_scores(asked, more, mini_tokenizer(), budget);
    const auto without = elms::refine_by_scores(asked, more, mini_tokenizer(), budget, words);
    if (with.has_value() && with->text != without->text) ++n_differ;
  }
  CHECK(n_differ > 50);
}

TEST_CASE("relevance counts rare runs, and none that most parts have", "[refine]") {
  using elms::detail::refine::relevance;
  CHECK(relevance({"one", "two"}, "").empty());
  CHECK(relevance({"one", "two"}, "?! ...").empty());
  CHECK(relevance({"one", "two"}, "three").empty());
  CHECK(relevance({"the same", "the same"}, "same").empty());
  CHECK(relevance({}, "same").empty());
  const auto scores = relevance({"Lighthouse", "a house", "nothing", "heavy"}, "LIGHT");
  REQUIRE(scores.size() == 4);
  CHECK(scores[0] > 0.0);
  CHECK(scores[1] == 0.0);
  // Twice is more than once, but less than twice as much; a longer part counts less.
  const auto counted =
      relevance({"rain rain ab", "rain cd efg", "gh", "ij", "kl", "rain cd efg mnop qrs"}, "rain");
  CHECK(counted[0] > counted[1]);
  CHECK(counted[0] < 2.0 * counted[1]);
  CHECK(counted[5] < counted[1]);
  // Case is folded beyond ASCII, and bytes that are no UTF-8 are letters like others.
  CHECK(relevance({"\u0414\u041e\u0416\u0414\u042c", "x", "y"}, "\u0434\u043e\u0436\u0434\u044c")[0] > 0.0);
  CHECK(relevance({"ab\xFF\xFE", "x", "y"}, "ab\xFF\xFE")[0] > 0.0);
}
