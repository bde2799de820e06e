// Many sessions over one model. Run under TSan by `cmake/bootstrap.sh test tsan`.
#include <thread>

#include "elms/session.hpp"
#include "test_model.hpp"

using namespace elms_test;

namespace {

std::vector<elms::TokenId> generate_alone(const std::shared_ptr<const elms::ElasticModel>& model, int level, int n) {
  auto session = elms::Session::create(model);
  std::vector<elms::TokenId> tokens;
  if (!session.has_value() || !session->set_level(level).ok()) return tokens;
  const std::vector<elms::TokenId> prompt = {1, 17 + level, 40, 12, 99};
  if (!session->prefill(prompt).ok()) return tokens;
  for (int i = 0; i < n; ++i) {
    if (i == n / 2) session->set_width(1.0);
    auto token = session->decode();
    if (!token.has_value()) break;
    tokens.push_back(*token);
  }
  return tokens;
}

}  // namespace

TEST_CASE("sessions of different widths on several threads give the tokens that they give alone", "[model][threads]") {
  constexpr int kSessions = 8, kThreads = 4, kTokens = 12;
  for (std::size_t pool_threads : {std::size_t{1}, std::size_t{3}}) {
    const auto model = open_model(write_model(small_shape(), elms::DType::kQ8_0, "threads.gguf"), pool_threads);
    const int n_levels = static_cast<int>(model->levels().size());
    std::vector<std::vector<elms::TokenId>> expected;
    for (int s = 0; s < kSessions; ++s) expected.push_back(generate_alone(model, s % n_levels, kTokens));
    REQUIRE(expected[0].size() == kTokens);

    std::vector<std::vector<elms::TokenId>> actual(kSessions);
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        for (int s = t; s < kSessions; s += kThreads) {
          actual[static_cast<std::size_t>(s)] = generate_alone(model, s % n_levels, kTokens);
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(actual == expected);
  }
}

TEST_CASE("a cancel token stops a session from another thread", "[model][threads]") {
  const auto model = open_model(write_model(small_shape(), elms::DType::kF32, "cancel.gguf"));
  auto session = elms::Session::create(model);
  REQUIRE_OK(session);
  elms::CancelToken cancel;
  session->set_cancel(&cancel);
  std::thread other([&] { cancel.cancel(); });
  elms::Status status;
  while (status.ok()) {
    session->reset();
    status = session->prefill(std::vector<elms::TokenId>(100, 5));
  }
  other.join();
  CHECK(status.code() == elms::StatusCode::kCancelled);
}

TEST_CASE("the tokenizer of a model may be asked for from several threads", "[model][threads]") {
  const auto model = open_model(write_model(small_shape(), elms::DType::kF32, "tokenizer.gguf"));
  std::vector<const elms::Tokenizer*> seen(4);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < seen.size(); ++t) {
    threads.emplace_back([&, t] {
      auto tokenizer = model->tokenizer();
      seen[t] = tokenizer.has_value() ? tokenizer->get() : nullptr;
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const elms::Tokenizer* tokenizer : seen) {
    CHECK(tokenizer != nullptr);
    CHECK(tokenizer == seen[0]);
  }
}
