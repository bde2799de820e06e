// PromptRefiner over a small random encoder.
#include <thread>

#include "elms/prompt_refiner.hpp"
#include "random_prompts.hpp"
#include "refiner_file.hpp"

using elms::PromptRefiner;
using elms::RefineBudget;
using elms::Segment;
using elms_test::mini_tokenizer;

namespace {

std::shared_ptr<const PromptRefiner> open_refiner(const std::string& path) {
  const auto refiner = PromptRefiner::open(path);
  REQUIRE_OK(refiner);
  return *refiner;
}

std::vector<Segment> long_prompt() {
  std::mt19937 rng = elms_test::make_rng(75);
  return {Segment::protect("Answer.\n"), Segment::compress(elms_test::random_prompt_text(rng, 80)),
          Segment::protect("what is it?", elms::SegmentRole::kQuestion)};
}

}  // namespace

TEST_CASE("PromptRefiner scores the mean of a word's tokens, with the other segments in view", "[refine]") {
  const auto refiner = open_refiner(elms_test::RefinerFileWriter::write("refiner.gguf"));
  const std::vector<Segment> prompt = {Segment::protect("ab "), Segment::compress("cde, f")};
  const auto analysis = refiner->analyse(prompt);
  REQUIRE_OK(analysis);
  REQUIRE(analysis->scores.size() == 4);  // ab, cde, the comma, f

  // The same by hand: every token of the whole text at once.
  const std::vector<elms::TokenId> tokens = refiner->tokenizer().encode("ab cde, f", {.add_special = false});
  REQUIRE(tokens.size() == 7);
  const auto model = elms::detail::EncoderModel::open(elms_test::RefinerFileWriter::write("refiner.gguf"));
  REQUIRE_OK(model);
  const auto encoder = elms::detail::Encoder::create(*model);
  REQUIRE_OK(encoder);
  std::vector<float> expected(tokens.size());
  REQUIRE_OK((*encoder)->score(tokens, expected));
  CHECK(analysis->scores[0] == Approx((expected[0] + expected[1]) / 2).margin(1e-5));
  CHECK(analysis->scores[1] == Approx((expected[2] + expected[3] + expected[4]) / 3).margin(1e-5));
  CHECK(analysis->scores[2] == Approx(expected[5]).margin(1e-5));
  CHECK(analysis->scores[3] == Approx(expected[6]).margin(1e-5));
}

TEST_CASE("PromptRefiner refines and decides the same from several threads", "[refine][threads]") {
  const auto refiner = open_refiner(elms_test::RefinerFileWriter::write("refiner.gguf"));
  const std::vector<Segment> prompt = long_prompt();
  elms::RefineOptions options;
  options.json = options.code = options.markers = elms::Guard::kPrefer;
  const auto alone = refiner->refine(prompt, mini_tokenizer(), RefineBudget::keep(0.4), options);
  REQUIRE_OK(alone);
  CHECK(alone->tokens_after <= alone->budget_tokens);
  CHECK(alone->segments[0] == prompt[0].text);
  CHECK(alone->segments[2] == prompt[2].text);
  const auto grid = refiner->decide(prompt, {.ttft = 0.5, .tpot = 0.25});
  REQUIRE_OK(grid);
  CHECK(grid->widths == std::vector<float>{0.25f, 0.5f, 1.0f});
  REQUIRE(grid->quality.size() == 6);
  const auto both = refiner->analyse(prompt, options, {.ttft = 0.5, .tpot = 0.25});
  REQUIRE_OK(both);
  for (std::size_t i = 0; i < 6; ++i)
    CHECK(both->strategies.quality[i] == Approx(grid->quality[i]).margin(1e-5));

  std::vector<std::string> texts(4);
  std::vector<std::thread> threads;
  for (std::string& text : texts) {
    threads.emplace_back([&] {
      for (int round = 0; round < 3; ++round) {
        const auto refined = refiner->refine(prompt, mini_tokenizer(), RefineBudget::keep(0.4), options);
        text = refined.has_value() ? refined->text : refined.error().message();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::string& text : texts) CHECK(text == alone->text);
}

TEST_CASE("PromptRefiner cuts long texts at chunk_end_tokens on request", "[refine]") {
  const auto refiner = open_refiner(elms_test::RefinerFileWriter::write("refiner.gguf"));
  const std::vector<Segment> prompt = {
      Segment::compress("one two three four. five six seven eight. nine ten eleven")};
  elms::RefineOptions options;
  options.chunk_end_tokens = {"."};
  const auto chunked = refiner->analyse(prompt, options);
  REQUIRE_OK(chunked);
  // The first chunk ends after the first full stop: it is scored as if it stood alone.
  const auto alone =
      refiner->analyse(std::vector<Segment>{Segment::compress("one two three four.")}, options);
  REQUIRE_OK(alone);
  for (std::size_t i = 0; i < alone->scores.size(); ++i)
    CHECK(chunked->scores[i] == Approx(alone->scores[i]).margin(1e-5));
}

TEST_CASE("PromptRefiner names what cannot be", "[refine]") {
  const auto code_of = [](const elms::Status& status) { return status.code(); };
  const auto refiner = open_refiner(elms_test::RefinerFileWriter::write("refiner.gguf"));
  CHECK(code_of(refiner->decide({}).error()) == elms::StatusCode::kInvalidArgument);
  CHECK(code_of(refiner->decide(long_prompt(), {.ttft = 0.0}).error()) == elms::StatusCode::kInvalidArgument);
  elms::CancelToken cancel;
  cancel.cancel();
  const auto cancelled =
      refiner->refine(long_prompt(), mini_tokenizer(), RefineBudget::keep(0.5), {}, &cancel);
  CHECK(code_of(cancelled.error()) == elms::StatusCode::kCancelled);

  const auto scores_only =
      open_refiner(elms_test::RefinerFileWriter::write("scores.gguf", {.decision_head = false}));
  CHECK(code_of(scores_only->decide(long_prompt()).error()) == elms::StatusCode::kUnsupported);
  const auto analysis = scores_only->analyse(long_prompt());
  REQUIRE_OK(analysis);
  CHECK(analysis->strategies.quality.empty());
  const auto decides_only =
      open_refiner(elms_test::RefinerFileWriter::write("decides.gguf", {.score_head = false}));
  CHECK(code_of(decides_only->refine(long_prompt(), mini_tokenizer(), RefineBudget::keep(0.5)).error()) ==
        elms::StatusCode::kUnsupported);
  const auto plain = PromptRefiner::open(
      elms_test::RefinerFileWriter::write("plain.gguf", {.score_head = false, .decision_head = false}));
  CHECK(code_of(plain.error()) == elms::StatusCode::kUnsupported);
  CHECK(code_of(PromptRefiner::open("/no/such/file.gguf").error()) == elms::StatusCode::kNotFound);
}
