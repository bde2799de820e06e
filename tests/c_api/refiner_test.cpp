// Prompts cut through elms.h: the same text as through C++, whatever the options, and reasons for what cannot
// be.
#include <cmath>
#include <limits>

#include "c_api_fixture.hpp"

using namespace elms_test;

namespace {

/// Refines and expects that it works.
RefinedHandle refined_in_c(const elms_refiner* refiner, const elms_model* model,
                           const std::vector<elms_segment>& prompt, const elms_refine_options& options) {
  elms_refined* refined = nullptr;
  elms_error error{};
  const elms_code code =
      elms_refiner_refine(refiner, model, prompt.data(), prompt.size(), &options, nullptr, &refined, &error);
  INFO(error.message);
  REQUIRE(code == ELMS_OK);
  return RefinedHandle(refined);
}

void check_equal(const elms_refined* actual, const elms::RefinedPrompt& expected, const std::string& prompt) {
  CHECK(std::string(elms_refined_text(actual), elms_refined_text_bytes(actual)) == expected.text);
  CHECK(elms_refined_tokens_before(actual) == expected.tokens_before);
  CHECK(elms_refined_tokens_after(actual) == expected.tokens_after);
  CHECK(elms_refined_budget_tokens(actual) == expected.budget_tokens);
  std::size_t n_spans = 0;
  const elms_span* spans = elms_refined_spans(actual, &n_spans);
  std::string joined;
  for (std::size_t i = 0; i < n_spans; ++i)
    joined += prompt.substr(spans[i].begin, spans[i].end - spans[i].begin);
  CHECK(joined == expected.text);
  for (std::size_t i = 0; i < expected.segments.size(); ++i) {
    std::size_t n_bytes = 0;
    const char* text = elms_refined_segment(actual, i, &n_bytes);
    REQUIRE(text != nullptr);
    CHECK(std::string(text, n_bytes) == expected.segments[i]);
  }
  CHECK(elms_refined_segment(actual, expected.segments.size(), nullptr) == nullptr);
  for (std::size_t offset = 0; offset <= expected.text.size(); offset += 7)
    CHECK(elms_refined_source_offset(actual, offset) == expected.source_offset(offset));
}

}  // namespace

TEST_CASE("c_api refines as C++ does, with every option", "[c_api][refine]") {
  const ModelHandle model = open_in_c(mini_path());
  const RefinerHandle refiner = open_refiner_in_c();
  CHECK(elms_refiner_can_refine(refiner.get()) == 1);
  const auto expected_refiner = open_refiner_in_cpp();
  CHECK(elms_refiner_can_decide(refiner.get()) == (expected_refiner->can_decide() ? 1 : 0));
  const auto tokenizer = open_model(mini_path())->tokenizer();
  REQUIRE_OK(tokenizer);
  const SamplePrompt prompt;

  const char* const forced[] = {"tea", "!"};
  const char* const ends[] = {".", "\n"};
  struct Case {
    const char* name;
    std::function<void(elms_refine_options&)> in_c;
    std::function<void(elms::RefineOptions&, elms::RefineBudget&)> in_cpp;
  };
  const Case cases[] = {
      {"nothing set: half of the tokens", [](auto&) {}, [](auto&, auto&) {}},
      {"a ratio", [](auto& o) { o.keep_ratio = 0.7; },
       [](auto&, auto& b) { b = elms::RefineBudget::keep(0.7); }},
      {"tokens", [](auto& o) { o.max_tokens = 60; },
       [](auto&, auto& b) { b = elms::RefineBudget::tokens(60); }},
      {"words that stay",
       [&](auto& o) {
         o.force_tokens = forced;
         o.n_force_tokens = 2;
         o.keep_digits = 1;
       },
       [](auto& o, auto&) {
         o.force_tokens = {"tea", "!"};
         o.force_reserve_digit = true;
       }},
      {"guards off, marks side by side",
       [](auto& o) {
         o.numbers = ELMS_GUARD_OFF;
         o.json = ELMS_GUARD_WHOLE;
         o.drop_consecutive = 1;
       },
       [](auto& o, auto&) {
         o.numbers = elms::Guard::kOff;
         o.json = elms::Guard::kWhole;
         o.drop_consecutive = true;
       }},
      {"sentences first, chunks, no BOS",
       [&](auto& o) {
         o.filter = ELMS_FILTER_SENTENCES;
         o.filter_keep_ratio = 0.6;
         o.chunk_end_tokens = ends;
         o.n_chunk_end_tokens = 2;
         o.protect_last_line = 1;
         o.without_special = 1;
       },
       [](auto& o, auto&) {
         o.filter = elms::RefineFilter::kSentences;
         o.filter_keep_ratio = 0.6;
         o.chunk_end_tokens = {".", "\n"};
         o.protect_last_line = true;
         o.encode.add_special = false;
       }},
  };
  for (const Case& one : cases) {
    INFO(one.name);
    auto options = sized<elms_refine_options>();
    one.in_c(options);
    elms::RefineOptions expected_options;
    elms::RefineBudget budget = elms::RefineBudget::keep(0.5);
    one.in_cpp(expected_options, budget);
    const auto expected = expected_refiner->refine(prompt.in_cpp, **tokenizer, budget, expected_options);
    REQUIRE_OK(expected);
    const RefinedHandle actual = refined_in_c(refiner.get(), model.get(), prompt.in_c, options);
    check_equal(actual.get(), *expected, prompt.text);
    CHECK(elms_refined_tokens_after(actual.get()) <= elms_refined_budget_tokens(actual.get()));
    CHECK(elms_refined_tokens_after(actual.get()) < elms_refined_tokens_before(actual.get()));
  }
}

TEST_CASE("c_api keeps of a segment what its own ratio says", "[c_api][refine]") {
  const ModelHandle model = open_in_c(mini_path());
  const RefinerHandle refiner = open_refiner_in_c();
  SamplePrompt prompt;
  auto options = sized<elms_refine_options>();
  options.keep_ratio = 1.0;
  RefinedHandle refined = refined_in_c(refiner.get(), model.get(), prompt.in_c, options);
  CHECK(std::string(elms_refined_text(refined.get())) == prompt.text);

  prompt.in_c[1].keep_ratio = -1.0;
  options.numbers = ELMS_GUARD_OFF;
  refined = refined_in_c(refiner.get(), model.get(), prompt.in_c, options);
  std::size_t n_bytes = 1;
  elms_refined_segment(refined.get(), 1, &n_bytes);
  CHECK(n_bytes == 0);
  CHECK(std::string(elms_refined_segment(refined.get(), 2, nullptr)) == SamplePrompt::kQuestion);
}

TEST_CASE("c_api takes arrays of newer callers' structs", "[c_api][refine]") {
  const ModelHandle model = open_in_c(mini_path());
  const RefinerHandle refiner = open_refiner_in_c();
  const SamplePrompt prompt;
  struct Newer {
    elms_segment known;
    std::int64_t unknown;
  };
  std::vector<Newer> newer;
  for (const elms_segment& segment : prompt.in_c) {
    newer.push_back({segment, 0});
    newer.back().known.struct_size = sizeof(Newer);
  }
  elms_refined* raw = nullptr;
  elms_error error{};
  const auto refine = [&] {
    return elms_refiner_refine(refiner.get(), model.get(), &newer[0].known, newer.size(), nullptr, nullptr,
                               &raw, &error);
  };
  REQUIRE(refine() == ELMS_OK);
  const RefinedHandle refined(raw);
  const RefinedHandle expected =
      refined_in_c(refiner.get(), model.get(), prompt.in_c, sized<elms_refine_options>());
  CHECK(std::string(elms_refined_text(refined.get())) == elms_refined_text(expected.get()));
  newer[1].unknown = 1;
  CHECK(refine() == ELMS_INVALID_ARGUMENT);
  newer[1].unknown = 0;
  newer[2].known.struct_size = sizeof(elms_segment);  // not the step
  CHECK(refine() == ELMS_INVALID_ARGUMENT);
}

TEST_CASE("c_api says why a prompt cannot be refined", "[c_api][refine]") {
  const ModelHandle model = open_in_c(mini_path());
  const RefinerHandle refiner = open_refiner_in_c();
  elms_error error{};
  auto* refined = reinterpret_cast<elms_refined*>(std::numeric_limits<std::uintptr_t>::max());
  const auto refuses = [&](const std::vector<elms_segment>& prompt, const elms_refine_options& options,
                           const char* word) {
    const elms_code code = elms_refiner_refine(refiner.get(), model.get(), prompt.data(), prompt.size(),
                                               &options, nullptr, &refined, &error);
    INFO(error.message);
    CHECK(refined == nullptr);
    CHECK(std::string(error.message).find(word) != std::string::npos);
    return code == ELMS_INVALID_ARGUMENT;
  };
  const SamplePrompt prompt;
  const auto with = [](auto member, auto value) {
    auto options = sized<elms_refine_options>();
    options.*member = value;
    return options;
  };
  // What is protected does not fit; the message has both numbers.
  CHECK(refuses(prompt.in_c, with(&elms_refine_options::max_tokens, std::int64_t{3}), " 3"));
  CHECK(refuses(prompt.in_c, with(&elms_refine_options::keep_ratio, 1.5), "1.5"));
  CHECK(refuses(prompt.in_c, with(&elms_refine_options::keep_ratio, std::nan("")), "nan"));
  CHECK(refuses(prompt.in_c, with(&elms_refine_options::max_tokens, std::int64_t{-1}), "-1"));
  CHECK(refuses(prompt.in_c, with(&elms_refine_options::filter, 4), "filter"));
  CHECK(refuses(prompt.in_c, with(&elms_refine_options::urls, -1), "urls"));
  CHECK(refuses(prompt.in_c, with(&elms_refine_options::n_force_tokens, std::size_t{1}), "force_tokens"));
  CHECK(refuses(prompt.in_c, with(&elms_refine_options::struct_size, std::size_t{4}), "struct_size"));
  CHECK(refuses(prompt.in_c, with(&elms_refine_options::struct_size, std::numeric_limits<std::size_t>::max()),
                "struct_size"));
  auto both = with(&elms_refine_options::keep_ratio, 0.5);
  both.max_tokens = 10;
  CHECK(refuses(prompt.in_c, both, "both"));

  const auto options = sized<elms_refine_options>();
  CHECK(refuses({}, options, "empty"));
  CHECK(refuses({segment_in_c("a b", static_cast<elms_role>(5), true)}, options, "role"));
  CHECK(refuses({segment_in_c("a b", ELMS_ROLE_CONTEXT, true, std::nan(""))}, options, "keep ratio"));
  auto no_text = segment_in_c("a b", ELMS_ROLE_CONTEXT, true);
  no_text.text = nullptr;
  CHECK(refuses({no_text}, options, "null"));
  auto no_size = segment_in_c("a b", ELMS_ROLE_CONTEXT, true);
  no_size.struct_size = 0;
  CHECK(refuses({no_size}, options, "struct_size"));

  CHECK(elms_refiner_refine(nullptr, model.get(), prompt.in_c.data(), 3, nullptr, nullptr, &refined,
                            &error) == ELMS_INVALID_ARGUMENT);
  CHECK(elms_refiner_refine(refiner.get(), nullptr, prompt.in_c.data(), 3, nullptr, nullptr, &refined,
                            &error) == ELMS_INVALID_ARGUMENT);
  CHECK(elms_refiner_refine(refiner.get(), model.get(), nullptr, 3, nullptr, nullptr, &refined, &error) ==
        ELMS_INVALID_ARGUMENT);
  CHECK(elms_refiner_refine(refiner.get(), model.get(), prompt.in_c.data(), 3, nullptr, nullptr, nullptr,
                            nullptr) == ELMS_INVALID_ARGUMENT);
  const CancelHandle cancel(elms_cancel_create());
  elms_cancel_set(cancel.get());
  CHECK(elms_refiner_refine(refiner.get(), model.get(), prompt.in_c.data(), 3, nullptr, cancel.get(),
                            &refined, &error) == ELMS_CANCELLED);
  CHECK(refined == nullptr);
}

TEST_CASE("c_api opens no refiner that is none, and null handles have nothing", "[c_api][refine]") {
  elms_error error{};
  elms_refiner* refiner = nullptr;
  CHECK(elms_refiner_open("/no/such/refiner.gguf", nullptr, &refiner, &error) == ELMS_NOT_FOUND);
  CHECK(elms_refiner_open(mini_path().c_str(), nullptr, &refiner, &error) != ELMS_OK);  // a decoder
  CHECK(refiner == nullptr);
  CHECK(elms_refiner_open(nullptr, nullptr, &refiner, &error) == ELMS_INVALID_ARGUMENT);
  CHECK(elms_refiner_open("x", nullptr, nullptr, &error) == ELMS_INVALID_ARGUMENT);
  auto options = sized<elms_refiner_options>();
  options.n_threads = 100000;
  CHECK(elms_refiner_open(refiner_path().c_str(), &options, &refiner, &error) == ELMS_INVALID_ARGUMENT);
  elms_refiner_close(nullptr);
  elms_refined_free(nullptr);
  CHECK(elms_refiner_can_refine(nullptr) == 0);
  CHECK(elms_refiner_can_decide(nullptr) == 0);
  CHECK(std::string(elms_refined_text(nullptr)).empty());
  std::size_t n = 7;
  CHECK(elms_refined_spans(nullptr, &n) == nullptr);
  CHECK(n == 0);
  CHECK(elms_refined_segment(nullptr, 0, &n) == nullptr);
  CHECK(elms_refined_tokens_after(nullptr) + elms_refined_source_offset(nullptr, 4) == 0);
}
