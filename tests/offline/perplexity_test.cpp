#include "elms/offline/perplexity.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>

#include "elms/session.hpp"
#include "test_model.hpp"

using namespace elms_test;
namespace offline = elms::offline;

namespace {

std::vector<elms::TokenId> random_tokens(std::size_t n, std::int32_t n_vocab, std::uint32_t salt) {
  auto rng = make_rng(salt);
  std::vector<elms::TokenId> tokens;
  for (std::size_t i = 0; i < n; ++i) tokens.push_back(static_cast<elms::TokenId>(rng() % static_cast<std::uint32_t>(n_vocab)));
  return tokens;
}

/// -log p of each token after the first behind what the session holds, one forward pass per token.
double nll_behind(elms::Session& session, std::span<const elms::TokenId> tokens) {
  double sum = 0.0;
  for (std::size_t i = 0; i + 1 < tokens.size(); ++i) {
    REQUIRE_OK(session.prefill(tokens.subspan(i, 1)));
    double total = 0.0;
    for (const float logit : session.logits()) total += std::exp(static_cast<double>(logit));
    sum -= static_cast<double>(session.logits()[static_cast<std::size_t>(tokens[i + 1])]) - std::log(total);
  }
  return sum;
}

double plain_nll(const std::shared_ptr<const elms::ElasticModel>& model, int level, const std::vector<elms::TokenId>& window) {
  auto session = elms::Session::create(model);
  REQUIRE_OK(session);
  REQUIRE_OK(session->set_level(level));
  return nll_behind(*session, window);
}

}  // namespace

TEST_CASE("perplexity: the mean over windows that start with BOS and do not see each other", "[offline]") {
  const auto model = open_model(write_model(small_shape(), elms::DType::kF32, "ppl.gguf"));
  const auto tokens = random_tokens(50, 320, 31);
  const int last = static_cast<int>(model->levels().size()) - 1;
  const std::vector<int> levels = {0, last};
  offline::PerplexityOptions options;
  options.window_tokens = 24;  // BOS and 23 tokens: windows of 23, 23 and 4
  const auto results = offline::evaluate_perplexity(model, tokens, levels, options);
  REQUIRE_OK(results);
  REQUIRE(results->size() == 2);
  for (std::size_t i = 0; i < levels.size(); ++i) {
    double expected = 0.0;
    for (std::size_t begin = 0; begin < 50; begin += 23) {
      std::vector<elms::TokenId> window = {1};
      for (std::size_t t = begin; t < std::min<std::size_t>(50, begin + 23); ++t) window.push_back(tokens[t]);
      expected += plain_nll(model, levels[i], window);
    }
    const offline::PerplexityResult& result = (*results)[i];
    CHECK(result.level == levels[i]);
    CHECK(result.cost_share == model->levels()[static_cast<std::size_t>(levels[i])].cost_share);
    CHECK(result.tokens == 50);
    CHECK(result.nll == Approx(expected / 50.0).epsilon(1e-4));
    CHECK(result.perplexity == Approx(std::exp(result.nll)));
  }
  CHECK((*results)[0].nll != (*results)[1].nll);
}

TEST_CASE("perplexity: a prompt is read at a level of its own and not predicted", "[offline]") {
  const auto model = open_model(write_model(small_shape(), elms::DType::kF32, "ppl_prompt.gguf"));
  const auto tokens = random_tokens(45, 320, 37);
  const int last = static_cast<int>(model->levels().size()) - 1;
  const std::vector<int> levels = {0, last};
  offline::PerplexityOptions options;
  options.window_tokens = 21;  // BOS, 6 of the prompt and 14 more: the third window is too short
  options.prompt_tokens = 6;
  for (const int prompt_level : {-1, last}) {
    if (prompt_level >= 0) options.prompt_level = prompt_level;
    const auto results = offline::evaluate_perplexity(model, tokens, levels, options);
    REQUIRE_OK(results);
    for (std::size_t i = 0; i < levels.size(); ++i) {
      double expected = 0.0;
      for (const std::size_t begin : {0, 20}) {
        auto session = elms::Session::create(model);
        REQUIRE_OK(session);
        std::vector<elms::TokenId> window = {1};
        window.insert(window.end(), tokens.begin() + static_cast<std::ptrdiff_t>(begin),
                      tokens.begin() + static_cast<std::ptrdiff_t>(begin + 20));
        // The prompt's last token is computed with what it begins.
        REQUIRE_OK(session->set_level(prompt_level < 0 ? levels[i] : prompt_level));
        REQUIRE_OK(session->prefill(std::span(window).first(6)));
        REQUIRE_OK(session->set_level(levels[i]));
        expected += nll_behind(*session, std::span(window).subspan(6));
      }
      CHECK((*results)[i].tokens == 28);
      CHECK((*results)[i].nll == Approx(expected / 28.0).epsilon(1e-4));
    }
  }
}

TEST_CASE("perplexity: a lone last token still has BOS before it, and max_tokens cuts the text", "[offline]") {
  const auto model = open_model(write_model(small_shape(), elms::DType::kF32, "ppl_cut.gguf"));
  const auto tokens = random_tokens(40, 320, 32);
  const std::vector<int> levels = {0};
  offline::PerplexityOptions options;
  options.window_tokens = 10;
  options.max_tokens = 19;
  const auto cut = offline::evaluate_perplexity(model, tokens, levels, options);
  REQUIRE_OK(cut);
  CHECK(cut->front().tokens == 19);
  options.max_tokens = 0;
  const auto whole = offline::evaluate_perplexity(model, std::span(tokens).first(19), levels, options);
  REQUIRE_OK(whole);
  CHECK(cut->front().nll == whole->front().nll);
}

TEST_CASE("perplexity: windows are no longer than the model's context", "[offline]") {
  const auto model = open_model(write_model(small_shape(), elms::DType::kF32, "ppl_context.gguf"));
  const auto tokens = random_tokens(300, 320, 33);  // the context is 128
  const std::vector<int> levels = {0};
  offline::PerplexityOptions options;
  options.window_tokens = 4096;
  const auto clamped = offline::evaluate_perplexity(model, tokens, levels, options);
  options.window_tokens = 128;
  const auto exact = offline::evaluate_perplexity(model, tokens, levels, options);
  REQUIRE_OK(clamped);
  REQUIRE_OK(exact);
  CHECK(clamped->front().nll == exact->front().nll);
}

TEST_CASE("perplexity: threads do not change it", "[offline][threads]") {
  const std::string path = write_model(small_shape(), elms::DType::kQ8_0, "ppl_threads.gguf");
  const auto tokens = random_tokens(60, 320, 34);
  const std::vector<int> levels = {0};
  const auto one = offline::evaluate_perplexity(open_model(path, 1), tokens, levels);
  const auto three = offline::evaluate_perplexity(open_model(path, 3), tokens, levels);
  REQUIRE_OK(one);
  REQUIRE_OK(three);
  CHECK(one->front().nll == three->front().nll);
}

TEST_CASE("perplexity: what makes no sense is refused", "[offline]") {
  const auto model = open_model(write_model(small_shape(), elms::DType::kF32, "ppl_refused.gguf"));
  const auto tokens = random_tokens(20, 320, 35);
  const auto code = [&](std::span<const elms::TokenId> text, std::vector<int> levels, offline::PerplexityOptions options) {
    return offline::evaluate_perplexity(model, text, levels, options).error().code();
  };
  constexpr auto kInvalid = elms::StatusCode::kInvalidArgument;
  CHECK(code(tokens, {0}, {}) == elms::StatusCode::kOk);
  CHECK(code(std::span(tokens).first(1), {0}, {}) == kInvalid);
  CHECK(code({}, {0}, {}) == kInvalid);
  CHECK(code(tokens, {-1}, {}) == kInvalid);
  CHECK(code(tokens, {99}, {}) == kInvalid);
  offline::PerplexityOptions options;
  options.window_tokens = 1;
  CHECK(code(tokens, {0}, options) == kInvalid);
  options = {};
  options.max_tokens = 1;
  CHECK(code(tokens, {0}, options) == kInvalid);
  options = {};
  options.prompt_tokens = -1;
  CHECK(code(tokens, {0}, options) == kInvalid);
  options.prompt_tokens = 20;  // nothing behind it
  CHECK(code(tokens, {0}, options) == kInvalid);
  options.prompt_tokens = 19;
  CHECK(code(tokens, {0}, options) == elms::StatusCode::kOk);
  options.prompt_level = 99;
  CHECK(code(tokens, {0}, options) == kInvalid);
  options = {};
  options.window_tokens = options.prompt_tokens = 8;
  CHECK(code(tokens, {0}, options) == kInvalid);
  const std::vector<elms::TokenId> outside = {5, 320};
  CHECK(code(outside, {0}, {}) == kInvalid);
  CHECK(offline::evaluate_perplexity(nullptr, tokens, std::vector<int>{0}).error().code() == kInvalid);
  options = {};
  options.progress = [](const offline::Progress&) { return elms::Flow::kStop; };
  CHECK(code(tokens, {0}, options) == elms::StatusCode::kCancelled);
}

TEST_CASE("perplexity: a trained model knows its kind of text from the same words in another order", "[offline]") {
  ELMS_REQUIRE_SHARED(path, "models/stories260K.gguf");
  ELMS_REQUIRE_SHARED(text_path, "data/tinystories/tinystories_sample_2MB.txt");
  std::ifstream file(text_path, std::ios::binary);
  std::string text(6000, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  const auto model = open_model(path);
  const auto tokenizer = model->tokenizer();
  REQUIRE_OK(tokenizer);
  auto tokens = (*tokenizer)->encode(text, {.add_special = false});
  const std::vector<int> levels = {0};
  const auto natural = offline::evaluate_perplexity(model, tokens, levels);
  std::shuffle(tokens.begin(), tokens.end(), make_rng(36));
  const auto shuffled = offline::evaluate_perplexity(model, tokens, levels);
  REQUIRE_OK(natural);
  REQUIRE_OK(shuffled);
  CHECK(natural->front().perplexity < 12.0);
  CHECK(natural->front().perplexity > 2.0);
  CHECK(shuffled->front().perplexity > 10.0 * natural->front().perplexity);
}
