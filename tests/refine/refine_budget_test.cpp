// Properties of refine_by_scores() over random prompts and budgets, counted by a real tokenizer.
#include <algorithm>
#include <chrono>
#include <optional>

#include "random_prompts.hpp"

using elms::RefineBudget;
using elms::RefinedPrompt;
using elms::RefineOptions;
using elms::Segment;
using elms::WordKind;
using elms_test::mini_tokenizer;

namespace {

std::string whole_text(const std::vector<Segment>& prompt) {
  std::string text;
  for (const Segment& segment : prompt) text += segment.text;
  return text;
}

/// The spans are ascending and apart, and say where every byte of the text and of its segments comes from.
void check_map(const std::vector<Segment>& prompt, const RefinedPrompt& refined) {
  const std::string source = whole_text(prompt);
  std::string text, segments;
  std::size_t last = 0;
  for (std::size_t i = 0; i < refined.kept.size(); ++i) {
    const elms::ByteSpan span = refined.kept[i];
    REQUIRE(span.begin < span.end);
    REQUIRE((i == 0 || span.begin > last));
    REQUIRE(span.end <= source.size());
    last = span.end;
    text += source.substr(span.begin, span.size());
  }
  REQUIRE(text == refined.text);
  for (const std::string& segment : refined.segments) segments += segment;
  REQUIRE(segments == refined.text);
  REQUIRE(refined.segments.size() == prompt.size());
  for (std::size_t i = 0; i < refined.text.size(); i += 7) {
    REQUIRE(source[refined.source_offset(i)] == refined.text[i]);
  }
}

/// Words are whole or gone, and what is protected is there byte for byte.
void check_words(const std::vector<Segment>& prompt, const RefinedPrompt& refined) {
  const std::string source = whole_text(prompt);
  std::vector<char> kept(source.size(), 0);
  for (const elms::ByteSpan span : refined.kept)
    std::fill_n(kept.begin() + static_cast<long>(span.begin), span.size(), 1);
  for (const elms::RefinedWord& word : refined.words) {
    const auto n = std::count(kept.begin() + static_cast<long>(word.span.begin),
                              kept.begin() + static_cast<long>(word.span.end), 1);
    REQUIRE(n == (word.kept ? static_cast<long>(word.span.size()) : 0));
    const bool hard = word.kind == WordKind::kProtected || word.kind == WordKind::kMarker ||
                      word.kind == WordKind::kJson || word.kind == WordKind::kCode;
    REQUIRE((word.kept || !hard));
  }
  for (std::size_t i = 0; i < prompt.size(); ++i) {
    if (!prompt[i].may_lose_words()) REQUIRE(refined.segments[i] == prompt[i].text);
  }
}

/// The places of the words' lines and sentences by the question; empty where there are none.
std::vector<std::size_t> places_of(const std::vector<Segment>& prompt,
                                   const elms::detail::refine::Layout& layout, const RefinedPrompt& refined,
                                   const RefineOptions& options) {
  using namespace elms::detail::refine;  // NOLINT
  if (options.filter != elms::RefineFilter::kQuestion) return {};
  std::vector<float> scores;
  for (const elms::RefinedWord& word : refined.words) scores.push_back(word.score);
  std::vector<Part> parts = parts_of(layout, scores, false, tiers_of(layout, options));
  if (!sort_parts(prompt, layout, true, parts)) return {};
  return part_places(parts, refined.words.size());
}

/// Scores that make one more word, the best that was dropped, be kept as well: its text must be over the
/// budget.
void check_tight(const std::vector<Segment>& prompt, const RefinedPrompt& refined,
                 const RefineOptions& options) {
  const std::string source = whole_text(prompt);
  const elms::detail::refine::Layout layout(source, elms::prompt_words(prompt));
  const std::vector<std::size_t> places = places_of(prompt, layout, refined, options);
  std::vector<std::uint8_t> kept;
  std::size_t best = refined.words.size();
  for (std::size_t i = 0; i < refined.words.size(); ++i) {
    kept.push_back(refined.words[i].kept ? 1 : 0);
    const auto rank = [&](std::size_t w) {  // numbers and URLs come before other words
      const elms::RefinedWord& word = refined.words[w];
      if (word.kind == WordKind::kNumber || word.kind == WordKind::kUrl) return 10.0 + word.score;
      return word.score - (places.empty() ? 0.0 : 10.0 * static_cast<double>(places[w]));
    };
    if (kept[i] == 0 && (best == refined.words.size() || rank(i) > rank(best))) best = i;
  }
  if (best == refined.words.size()) return;
  kept[best] = 1;
  elms::detail::refine::SpanText more;
  layout.render(kept, more);
  INFO("one more word: " << layout.text_of(best));
  REQUIRE(mini_tokenizer().encode(more.text).size() > refined.budget_tokens);
}

}  // namespace

TEST_CASE(
    "refine_by_scores meets every budget that the protected text leaves, for thousands of random prompts",
    "[refine]") {
  std::mt19937 rng = elms_test::make_rng(71);
  using elms::RefineFilter;
  constexpr std::pair<RefineFilter, double> kCuts[] = {
      {RefineFilter::kNone, 0.9},     {RefineFilter::kQuestion, 0.9}, {RefineFilter::kNone, 0.6},
      {RefineFilter::kQuestion, 0.6}, {RefineFilter::kNone, 0.35},    {RefineFilter::kQuestion, 0.35},
      {RefineFilter::kNone, 0.1},     {RefineFilter::kQuestion, 0.1}};
  int n_refined = 0, n_too_small = 0;
  for (int round = 0; round < 1500; ++round) {
    CAPTURE(round);
    const std::vector<Segment> prompt = elms_test::random_prompt(rng);
    const std::string source = whole_text(prompt);
    if (source.empty()) continue;
    CAPTURE(source);
    const std::vector<float> scores = elms_test::random_scores(rng, elms::prompt_words(prompt).size());
    const std::size_t n_before = mini_tokenizer().encode(source).size();
    for (const auto& [filter, ratio] : kCuts) {
      CAPTURE(ratio, static_cast<int>(filter));
      RefineOptions options;
      options.filter = filter;
      const auto refined =
          elms::refine_by_scores(prompt, scores, mini_tokenizer(), RefineBudget::keep(ratio), options);
      if (!refined.has_value()) {
        REQUIRE(refined.error().code() == elms::StatusCode::kInvalidArgument);
        ++n_too_small;
        break;
      }
      ++n_refined;
      CAPTURE(refined->text);
      REQUIRE(refined->tokens_before == n_before);
      REQUIRE(refined->budget_tokens <=
              static_cast<std::size_t>(ratio * static_cast<double>(n_before) + 1e-6));
      REQUIRE(refined->tokens_after == mini_tokenizer().encode(refined->text).size());
      REQUIRE(refined->tokens_after <= refined->budget_tokens);
      check_map(prompt, *refined);
      check_words(prompt, *refined);
      check_tight(prompt, *refined, options);
    }
  }
  CHECK(n_refined > 2000);
  CHECK(n_too_small > 100);  // both ways are taken
}

TEST_CASE(
    "refine_by_scores of a prompt of 10,000 words is exact, and the same every "
    "time",
    "[refine]") {
  std::mt19937 rng = elms_test::make_rng(72);
  const std::vector<Segment> prompt = {
      Segment::protect("Answer from the text.\n"),
      Segment::compress(elms_test::random_prompt_text(rng, 10000)),
      Segment::protect("Question: which?\nAnswer:", elms::SegmentRole::kQuestion)};
  const auto words = elms::prompt_words(prompt);
  REQUIRE(words.size() > 10000);
  const std::vector<float> scores = elms_test::random_scores(rng, words.size());
  RefineOptions options;
  options.json = options.code = options.markers = elms::Guard::kPrefer;
  for (const double ratio : {0.8, 0.4}) {
    const auto refined =
        elms::refine_by_scores(prompt, scores, mini_tokenizer(), RefineBudget::keep(ratio), options);
    REQUIRE_OK(refined);
    CHECK(refined->tokens_after <= refined->budget_tokens);
    CHECK(refined->tokens_after + 3 >= refined->budget_tokens);
    check_map(prompt, *refined);
    const auto again =
        elms::refine_by_scores(prompt, scores, mini_tokenizer(), RefineBudget::keep(ratio), options);
    REQUIRE_OK(again);
    CHECK(again->text == refined->text);
  }
}

TEST_CASE("refine_by_scores keeps a prompt that fits as it is", "[refine]") {
  std::mt19937 rng = elms_test::make_rng(73);
  for (int round = 0; round < 100; ++round) {
    const std::vector<Segment> prompt = elms_test::random_prompt(rng);
    const std::string source = whole_text(prompt);
    if (source.empty()) continue;
    const std::vector<float> scores = elms_test::random_scores(rng, elms::prompt_words(prompt).size());
    const auto refined = elms::refine_by_scores(prompt, scores, mini_tokenizer(), RefineBudget::keep(1.0));
    REQUIRE_OK(refined);
    REQUIRE(refined->text == source);
    REQUIRE(refined->tokens_after == refined->tokens_before);
  }
}

TEST_CASE("refine_by_scores names what cannot be", "[refine]") {
  const auto refine = [](const std::vector<Segment>& prompt, const RefineBudget& budget,
                         const RefineOptions& options = {}, std::optional<std::size_t> n_scores = {}) {
    const std::vector<float> scores(n_scores.value_or(elms::prompt_words(prompt, options).size()), 0.5f);
    const auto refined = elms::refine_by_scores(prompt, scores, mini_tokenizer(), budget, options);
    REQUIRE_FALSE(refined.has_value());
    CHECK(refined.error().code() == elms::StatusCode::kInvalidArgument);
    return refined.error().message();
  };
  using Catch::Matchers::Contains;
  CHECK_THAT(refine({}, RefineBudget::keep(0.5)), Contains("empty"));
  CHECK_THAT(refine({Segment::compress("")}, RefineBudget::keep(0.5)), Contains("0 bytes in 1 segments"));
  CHECK_THAT(refine({Segment::protect("all of this stays here")}, RefineBudget::keep(0.5)),
             Contains("nothing may be dropped"));
  CHECK_THAT(refine({Segment::protect("all of this stays here"), Segment::compress(" but not this")},
                    RefineBudget::tokens(2)),
             Contains("budget is 2"));
  for (const double ratio : {0.0, -1.0, 1.5, std::nan("")}) {
    CHECK_THAT(refine({Segment::compress("a b c")}, RefineBudget::keep(ratio)), Contains("keep ratio"));
  }
  CHECK_THAT(refine({Segment::compress("a b c")}, RefineBudget::tokens(0)), Contains("0 tokens"));
  CHECK_THAT(refine({Segment::compress("a b c")}, RefineBudget::keep(0.5), {}, 2),
             Contains("2 scores for 3 words"));
  RefineOptions strict;
  strict.strict_protection = true;
  CHECK_THAT(
      refine({Segment::compress("It costs $1,000.50 or 2,000.75 now")}, RefineBudget::tokens(5), strict),
      Contains("what is protected takes"));
}

TEST_CASE("refine_by_scores keeps what is protected where that was asked to go before the budget",
          "[refine]") {
  const std::vector<Segment> prompt = {Segment::protect("all of this stays here"),
                                       Segment::compress(" but not this, only `the_code()`")};
  const std::vector<float> scores(elms::prompt_words(prompt).size(), 0.5f);
  const auto refined =
      elms::refine_by_scores(prompt, scores, mini_tokenizer(), RefineBudget::tokens(2).or_protected());
  REQUIRE_OK(refined);
  CHECK(refined->text == "all of this stays here `the_code()`");
  CHECK(refined->budget_tokens == refined->tokens_after);
  CHECK(refined->budget_tokens > 2);
  const auto roomy =
      elms::refine_by_scores(prompt, scores, mini_tokenizer(), RefineBudget::tokens(100).or_protected());
  REQUIRE_OK(roomy);
  CHECK(roomy->budget_tokens == 100);
}

TEST_CASE("refine_by_scores follows its options", "[refine]") {
  const auto refine = [](const std::vector<Segment>& prompt, const std::vector<float>& scores,
                         const RefineBudget& budget, const RefineOptions& options) {
    const auto refined = elms::refine_by_scores(prompt, scores, mini_tokenizer(), budget, options);
    REQUIRE_OK(refined);
    return refined->text;
  };
  const std::vector<Segment> prompt = {Segment::compress("alpha beta A17 gamma. delta.")};
  //                               alpha beta  A17   gamma .     delta .
  const std::vector<float> scores = {0.9f, 0.1f, 0.0f, 0.8f, 0.2f, 0.7f, 0.3f};
  const auto budget = [&](const std::string& text) {
    return RefineBudget::tokens(static_cast<std::int64_t>(mini_tokenizer().encode(text).size()));
  };
  RefineOptions options;
  CHECK(refine(prompt, scores, budget("alpha gamma"), options) == "alpha gamma");
  options.force_reserve_digit = true;
  CHECK(refine(prompt, scores, budget("alpha A17"), options) == "alpha A17");
  options = {};
  options.force_tokens = {"beta"};
  CHECK(refine(prompt, scores, budget("alpha beta"), options) == "alpha beta");
  options = {};
  options.force_tokens = {"."};
  options.drop_consecutive = true;
  CHECK(refine(prompt, scores, budget("alpha."), options) == "alpha.");

  const std::vector<Segment> sentences = {Segment::compress("one two three. four five six.")};
  const std::vector<float> mixed = {0.5f, 0.5f, 0.5f, 0.5f, 0.9f, 0.0f, 0.0f, 0.0f};
  options = {};
  options.filter = elms::RefineFilter::kSentences;
  options.filter_keep_ratio = 0.4;
  CHECK(refine(sentences, mixed, budget("one two three."), options) == "one two three.");

  const std::vector<Segment> own = {
      Segment::compress("one two three four\n", elms::SegmentRole::kContext, 0.0),
      Segment::compress("five six")};
  CHECK(refine(own, std::vector<float>(6, 0.5f), RefineBudget::keep(1.0), {}) == "five six");

  options = {};
  options.protect_last_line = true;
  const std::vector<Segment> asked = {Segment::compress("some words of context\nwhat is it?\n")};
  const auto refined = elms::refine_by_scores(asked, std::vector<float>(5, 0.5f), mini_tokenizer(),
                                              budget("what is it?\n"), options);
  REQUIRE_OK(refined);
  CHECK(refined->text == "what is it?\n");
}
