// The two heads, their branches, and how calls behave.
#include <atomic>
#include <cmath>
#include <thread>

#include "elms/detail/gguf.hpp"
#include "encoder_fixture.hpp"
#include "refine/encoder_windows.hpp"

namespace {

using namespace elms_test;
using elms::StatusCode;

struct Outputs {
  std::vector<float> scores, quality;
};

Outputs run_both(Encoder& encoder, const std::vector<TokenId>& tokens) {
  Outputs out{std::vector<float>(tokens.size()), std::vector<float>(12)};
  REQUIRE_OK(encoder.score_and_decide(tokens, out.scores, 0.5f, 0.25f, out.quality));
  return out;
}

double sigmoid(double x) {
  return 1 / (1 + std::exp(-x));
}

/// What the decision head makes of a mean state, in double from the file's own arrays.
std::vector<float> decide_by_hand(const std::string& path, const std::vector<double>& pooled, double ttft,
                                  double tpot) {
  const auto file = elms::detail::GgufFile::open(path);
  REQUIRE_OK(file);
  const auto reals = [&](const std::string& name) { return *file->reals("elms.refiner.decision." + name); };
  const auto w1 = reals("hidden.weight"), b1 = reals("hidden.bias"), w2 = reals("output.weight"),
             b2 = reals("output.bias");
  std::vector<double> x = pooled;
  x.push_back(ttft);
  x.push_back(tpot);
  std::vector<double> hidden;
  for (std::size_t i = 0; i < b1.size(); ++i) {
    double sum = b1[i];
    for (std::size_t c = 0; c < x.size(); ++c) sum += w1[i * x.size() + c] * x[c];
    hidden.push_back(std::tanh(sum));
  }
  std::vector<float> quality;
  for (std::size_t i = 0; i < b2.size(); ++i) {
    double sum = b2[i];
    for (std::size_t c = 0; c < hidden.size(); ++c) sum += w2[i * hidden.size() + c] * hidden[c];
    quality.push_back(static_cast<float>(sigmoid(sum / reals("temperature")[0])));
  }
  return quality;
}

}  // namespace

TEST_CASE("both heads at once give what each gives alone, in any number of windows", "[refine][encoder]") {
  for (const auto precision : {EncoderPrecision::kF32, EncoderPrecision::kInt8}) {
    for (const EncoderConfig& config : {bert_config(64, 3, 40), mobilebert_config()}) {
      const auto encoder = make_encoder(write_random_encoder(config), precision);
      for (const std::size_t n : {0, 1, 38, 90}) {
        const std::vector<TokenId> tokens = random_tokens(n, 300, 3);
        const Outputs both = run_both(*encoder, tokens);
        std::vector<float> scores(n), quality(12);
        REQUIRE_OK(encoder->score(tokens, scores));
        REQUIRE_OK(encoder->decide(tokens, 0.5f, 0.25f, quality));
        CHECK(scores == both.scores);
        CHECK(quality == both.quality);
        for (const float value : quality) CHECK((value > 0 && value < 1));
      }
    }
  }
}

TEST_CASE("scores and qualities are what the contract says of the states", "[refine][encoder]") {
  EncoderConfig config = bert_config(64, 2, 24);
  config.n_decision_layers = 0;
  config.n_shared_layers = 2;  // so that both heads see the last states
  const std::string path = write_random_encoder(config);
  const auto encoder = make_encoder(path);
  const std::vector<TokenId> tokens = random_tokens(40, 300, 4);
  const auto file = elms::detail::GgufFile::open(path);
  const auto weight = *file->reals("elms.refiner.score.weight"),
             bias = *file->reals("elms.refiner.score.bias");

  std::vector<double> pooled(64, 0.0);
  std::size_t n_rows = 0;
  const elms::detail::TokenWindows windows(tokens.size(), 22);
  for (std::size_t i = 0; i < windows.count(); ++i) {
    const auto part = std::span(tokens).subspan(windows[i].begin, windows[i].end - windows[i].begin);
    std::vector<float> states((part.size() + 2) * 64), scores(part.size());
    REQUIRE_OK(encoder->hidden(part, states));
    REQUIRE_OK(encoder->score(part, scores));
    for (std::size_t r = 0; r < part.size() + 2; ++r) {
      double logit = bias[0];
      for (std::size_t c = 0; c < 64; ++c) {
        pooled[c] += states[r * 64 + c];
        logit += weight[c] * states[r * 64 + c];
      }
      if (r > 0 && r <= part.size()) CHECK(scores[r - 1] == Approx(sigmoid(logit)).margin(1e-6));
    }
    n_rows += part.size() + 2;
  }
  for (double& value : pooled) value /= static_cast<double>(n_rows);
  std::vector<float> quality(12);
  REQUIRE_OK(encoder->decide(tokens, 0.5f, 0.25f, quality));
  CHECK(largest_difference(quality, decide_by_hand(path, pooled, 0.5, 0.25)) < 1e-5);
  std::vector<float> tighter(12);
  REQUIRE_OK(encoder->decide(tokens, 0.1f, 0.25f, tighter));
  CHECK(quality != tighter);
}

TEST_CASE("branches begin where the file says", "[refine][encoder]") {
  EncoderConfig config = bert_config(64, 3, 24);
  const std::vector<TokenId> tokens = random_tokens(20, 300, 5);
  config.n_shared_layers = 3;  // the random weights do not depend on it
  const Outputs late = run_both(*make_encoder(write_random_encoder(config)), tokens);
  config.n_shared_layers = 1;
  const auto encoder = make_encoder(write_random_encoder(config));
  CHECK(encoder->model().config().n_shared_layers == 1);
  const Outputs early = run_both(*encoder, tokens);
  CHECK(early.scores == late.scores);    // the main stack is the same
  CHECK(early.quality != late.quality);  // the decision branch begins elsewhere
}

TEST_CASE("encoders of one model run on several threads at once", "[refine][encoder][threads]") {
  for (const auto precision : {EncoderPrecision::kF32, EncoderPrecision::kInt8}) {
    const auto model = open_encoder(write_random_encoder(bert_config(64, 2, 40)), precision);
    const std::vector<TokenId> tokens = random_tokens(60, 300, 6);
    auto first = Encoder::create(model);
    REQUIRE_OK(first);
    const Outputs expected = run_both(**first, tokens);
    std::atomic<int> n_wrong{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; ++t) {
      threads.emplace_back([&] {
        auto encoder = Encoder::create(model);
        for (int i = 0; encoder.has_value() && i < 5; ++i) {
          std::vector<float> scores(tokens.size());
          n_wrong += !(*encoder)->score(tokens, scores).ok() || scores != expected.scores;
        }
        n_wrong += !encoder.has_value();
      });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(n_wrong == 0);
  }
}

TEST_CASE("calls that cannot work say why, and the next one works", "[refine][encoder]") {
  const auto encoder = make_encoder(write_random_encoder(bert_config(64, 2, 24)));
  std::vector<TokenId> tokens = random_tokens(10, 300, 7);
  std::vector<float> scores(10), quality(12), states(12 * 64);
  const auto code = [](const elms::Status& status) { return status.code(); };
  CHECK(code(encoder->score(tokens, std::span(scores).first(9))) == StatusCode::kInvalidArgument);
  CHECK(code(encoder->decide(tokens, 1, 1, std::span(quality).first(11))) == StatusCode::kInvalidArgument);
  for (const float share : {0.0f, -1.0f, 1.5f, std::nanf("")}) {
    CHECK(code(encoder->decide(tokens, share, 1, quality)) == StatusCode::kInvalidArgument);
    CHECK(code(encoder->decide(tokens, 1, share, quality)) == StatusCode::kInvalidArgument);
  }
  CHECK(code(encoder->hidden(tokens, std::span(states).first(11 * 64))) == StatusCode::kInvalidArgument);
  CHECK(code(encoder->hidden(random_tokens(23, 300, 8), states)) == StatusCode::kInvalidArgument);
  const std::vector<std::uint8_t> mask(10, 1);
  CHECK(code(encoder->hidden_batch(tokens, mask, 3, std::span(states).first(640))) ==
        StatusCode::kInvalidArgument);
  CHECK(code(encoder->hidden_batch(tokens, mask, 0, std::span(states).first(640))) ==
        StatusCode::kInvalidArgument);
  for (const TokenId bad : {-1, 300}) {
    tokens[4] = bad;
    const elms::Status status = encoder->score(tokens, scores);
    CHECK(status.code() == StatusCode::kInvalidArgument);
    CHECK_THAT(status.message(), Catch::Contains("token 4"));
  }
  tokens[4] = 5;
  elms::CancelToken cancel;
  cancel.cancel();
  encoder->set_cancel(&cancel);
  CHECK(code(encoder->score(tokens, scores)) == StatusCode::kCancelled);
  cancel.reset();
  CHECK(encoder->score(tokens, scores).ok());
}
