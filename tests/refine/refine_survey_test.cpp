// What is known of a prompt before its budget is: refine::survey().
#include "elms/detail/refine/survey.hpp"
#include "random_prompts.hpp"

using elms::RefineBudget;
using elms::RefineOptions;
using elms::Segment;
using elms::detail::refine::survey;
using elms_test::mini_tokenizer;

namespace {

std::string bytes_of(const std::vector<Segment>& prompt, const std::vector<elms::ByteSpan>& spans) {
  const std::string text = elms::detail::refine::joined_text(prompt);
  std::string out;
  for (const elms::ByteSpan& span : spans) out += "[" + text.substr(span.begin, span.size()) + "]";
  return out;
}

}  // namespace

TEST_CASE("survey says what stays of a prompt", "[refine]") {
  const std::vector<Segment> prompt = {Segment::protect("Rules. "),
                                       Segment::compress("Look at `x = 1` and {\"a\": [1, 2]} for 25 kg. "),
                                       Segment::protect("Why?", elms::SegmentRole::kQuestion)};
  CHECK(bytes_of(prompt, survey(prompt, {}).always) == "[Rules. ][`x = 1`][{\"a\": [1, 2]}][Why?]");
  RefineOptions options;
  options.code = elms::Guard::kWhole;
  options.strict_protection = true;  // numbers, which are only preferred otherwise
  CHECK(bytes_of(prompt, survey(prompt, options).always) == "[Rules. ][{\"a\": [1, 2]}][25 kg][Why?]");
  const std::vector<Segment> code = {Segment::compress("`a` `b` c")};
  CHECK(bytes_of(code, survey(code, {}).always) == "[`a` `b`]");
  CHECK(survey({}, {}).always.empty());
}

TEST_CASE("what survey says stays is in every refined prompt", "[refine]") {
  auto rng = elms_test::make_rng(77);
  int n_prompts = 0;
  for (int i = 0; i < 300; ++i) {
    const std::vector<Segment> prompt = elms_test::random_prompt(rng);
    const std::string text = elms::detail::refine::joined_text(prompt);
    if (text.empty()) continue;
    const auto always = survey(prompt, {}).always;
    const std::vector<float> scores(elms::prompt_words(prompt, {}).size(), 0.0f);
    const auto refined =
        elms::refine_by_scores(prompt, scores, mini_tokenizer(), RefineBudget::tokens(1).or_protected(), {});
    REQUIRE_OK(refined);
    for (const elms::ByteSpan& span : always) {
      const bool kept = std::any_of(refined->kept.begin(), refined->kept.end(), [&](const elms::ByteSpan& k) {
        return k.begin <= span.begin && span.end <= k.end;
      });
      CAPTURE(text.substr(span.begin, span.size()));
      REQUIRE(kept);
    }
    ++n_prompts;
  }
  CHECK(n_prompts > 250);
}
