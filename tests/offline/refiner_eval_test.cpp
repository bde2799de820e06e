// Alignment of sentences with their compressions, scores of methods, prompts of tasks as segments.
#include "elms/offline/refiner_eval.hpp"

#include "offline/refiner/word_alignment.hpp"
#include "support.hpp"

using elms::Segment;
namespace offline = elms::offline;

namespace {

/// The kept words joined by blanks; "-" where the pair does not align.
std::string kept_text(const std::string& sentence, const std::string& compression) {
  elms::RefineOptions options;
  options.numbers = elms::Guard::kOff;
  const auto words = elms::prompt_words(std::vector<Segment>{Segment::compress(sentence)}, options);
  std::vector<elms::ByteSpan> spans;
  for (const elms::PromptWord& word : words) spans.push_back(word.span);
  const auto kept = offline::kept_words(sentence, spans, compression);
  if (kept.empty()) return "-";
  std::string text;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (kept[i] == 0) continue;
    text += (text.empty() ? "" : " ") + sentence.substr(words[i].span.begin, words[i].span.size());
  }
  return text;
}

const offline::KeepScore& score_of(const offline::RefinerEvalResult& result, const std::string& method) {
  for (const offline::KeepScore& score : result.scores) {
    if (score.method == method) return score;
  }
  FAIL("no method " << method);
  return result.scores.front();
}

}  // namespace

TEST_CASE("kept_words aligns a compression with its sentence", "[offline][refine]") {
  CHECK(kept_text("The cat, which sat on the mat, slept.", "the cat slept") == "The cat slept");
  CHECK(kept_text("Presidents' Day is near us", "Presidents ' Day is near .") == "Presidents' Day is near");
  CHECK(kept_text("an ex-offender of 5,000 left", "ex-offender left") == "ex-offender left");
  // Of several ways the one with the most neighbours.
  CHECK(kept_text("the man saw the dog of the man", "the dog") == "the dog");
  CHECK(kept_text("the end of the long war", "the long war") == "the long war");
  CHECK(kept_text("a b a c", "a c") == "a c");
  CHECK(kept_text("a b c", "...") == "-");
  CHECK(kept_text("one two", "two one") == "-");
  CHECK(kept_text("one two", "three") == "-");
  CHECK(kept_text("one two", "") == "-");
}

TEST_CASE("evaluate_refiner counts words by hand", "[offline][refine]") {
  const std::string sentences = "skipped line\none two three four\nthe old man sleeps\nfoo\n";
  const std::string compressions = "skipped\none two\nold man\nbar\n";
  offline::RefinerEvalOptions options;
  options.from_line = 1;
  const auto result = offline::evaluate_refiner(sentences, compressions, options);
  REQUIRE_OK(result);
  CHECK(result->n_pairs == 2);
  CHECK(result->n_skipped == 1);
  const offline::KeepScore& truncation = score_of(*result, "truncation");
  CHECK(truncation.n == 2);
  CHECK(truncation.keep_ratio == Approx(0.5));
  CHECK(truncation.precision == Approx(3.0 / 4.0));  // one, two; old, but not man
  CHECK(truncation.f1 == Approx(3.0 / 4.0));
  const offline::KeepScore& stop_words = score_of(*result, "stop words");
  CHECK(stop_words.keep_ratio == Approx(7.0 / 8.0));
  CHECK(stop_words.precision == Approx(4.0 / 7.0));
  CHECK(stop_words.recall == Approx(1.0));
  CHECK(score_of(*result, "all words").precision == Approx(0.5));
  CHECK_FALSE(offline::evaluate_refiner("one\ntwo\n", "one\n", {}).has_value());
  options.from_line = 3;
  CHECK_FALSE(offline::evaluate_refiner(sentences, compressions, options).has_value());
}

TEST_CASE("task_segments protects the request and the cue behind it", "[offline][refine]") {
  const auto segments = offline::task_segments("Choose.\na: b c\nRequest: ring my sister\nFunction:");
  REQUIRE(segments.size() == 2);
  CHECK(segments[0].text == "Choose.\na: b c\n");
  CHECK(segments[0].may_lose_words());
  CHECK(segments[1].text == "Request: ring my sister\nFunction:");
  CHECK_FALSE(segments[1].may_lose_words());
  CHECK(offline::task_segments("one line").size() == 1);
  CHECK(offline::task_segments("context\nWhat is it?\n")[1].text == "What is it?\n");
}
