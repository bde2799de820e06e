// Windows over long inputs, and how their scores are merged.
#include "refine/encoder_windows.hpp"

#include <cmath>

#include "encoder_fixture.hpp"

namespace {

using namespace elms_test;
using elms::detail::TokenWindow;
using elms::detail::TokenWindows;

}  // namespace

TEST_CASE("windows cover every token, overlap by a quarter and end with the text", "[refine][encoder]") {
  for (const std::size_t length : {1, 2, 3, 4, 7, 22, 62}) {
    for (std::size_t n = 0; n < 4 * length + 3; ++n) {
      INFO(n << " tokens in windows of " << length);
      const TokenWindows windows(n, length);
      REQUIRE(windows[0].begin == 0);
      REQUIRE(windows[windows.count() - 1].end == n);
      std::vector<float> total(n, 0.0f);
      int n_wrong = 0;
      for (std::size_t i = 0; i < windows.count(); ++i) {
        const TokenWindow window = windows[i];
        REQUIRE(window.end - window.begin <= length);
        if (i > 0) REQUIRE(windows[i - 1].end - window.begin >= length / 4);
        if (i > 0) REQUIRE(windows[i - 1].begin < window.begin);
        for (std::size_t t = window.begin; t < window.end; ++t) {
          n_wrong += TokenWindows::weight(window, t) < 1.0f;
          total[t] += TokenWindows::weight(window, t);
        }
      }
      for (std::size_t t = 0; t < n; ++t) n_wrong += windows.total_weight(t) != total[t];
      REQUIRE(n_wrong == 0);
    }
  }
}

TEST_CASE("scores of long inputs are the weighted means of their windows' scores", "[refine][encoder]") {
  const auto encoder = make_encoder(write_random_encoder(bert_config(64, 2, 24)));
  const std::vector<TokenId> tokens = random_tokens(75, 300, 1);
  std::vector<float> scores(tokens.size());
  REQUIRE_OK(encoder->score(tokens, scores));
  const TokenWindows windows(tokens.size(), 22);
  REQUIRE(windows.count() == 5);
  std::vector<float> expected(tokens.size(), 0.0f);
  for (std::size_t i = 0; i < windows.count(); ++i) {
    const TokenWindow window = windows[i];
    std::vector<float> own(window.end - window.begin);
    REQUIRE_OK(encoder->score(std::span(tokens).subspan(window.begin, own.size()), own));
    for (std::size_t t = window.begin; t < window.end; ++t) {
      expected[t] += own[t - window.begin] * TokenWindows::weight(window, t) / windows.total_weight(t);
    }
  }
  CHECK(largest_difference(scores, expected) < 1e-6);
}

TEST_CASE("a window is computed with its own length: short inputs do not depend on what came before",
          "[refine][encoder]") {
  for (const auto precision : {EncoderPrecision::kF32, EncoderPrecision::kInt8}) {
    for (const EncoderConfig& config : {bert_config(64, 2, 40), mobilebert_config()}) {
      const std::string path = write_random_encoder(config);
      const auto encoder = make_encoder(path, precision);
      const std::vector<TokenId> tokens = random_tokens(38, 300, 2);
      std::vector<float> first(5), again(5), all(tokens.size());
      REQUIRE_OK(encoder->score(std::span(tokens).first(5), first));
      REQUIRE_OK(encoder->score(tokens, all));
      REQUIRE_OK(encoder->score(std::span(tokens).first(5), again));
      CHECK(first == again);
      CHECK(first != std::vector<float>(all.begin(), all.begin() + 5));  // later tokens are attended to
    }
  }
}
