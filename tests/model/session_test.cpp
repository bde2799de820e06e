#include "elms/session.hpp"

#include "small_q8_model.hpp"

using namespace elms_test;

namespace {

std::vector<elms::TokenId> greedy(elms::Session& session, std::vector<elms::TokenId> prompt, int n) {
  REQUIRE_OK(session.prefill(prompt));
  std::vector<elms::TokenId> tokens;
  for (int i = 0; i < n; ++i) {
    auto token = session.decode();
    REQUIRE_OK(token);
    tokens.push_back(*token);
  }
  return tokens;
}

}  // namespace

TEST_CASE("session: reset and rewind reproduce what was computed before", "[model][session]") {
  auto session = elms::Session::create(open_model(small_q8_model()));
  REQUIRE_OK(session);
  const auto first = greedy(*session, kPrompt, 12);
  session->reset();
  CHECK(session->position() == 0);
  CHECK(greedy(*session, kPrompt, 12) == first);

  REQUIRE_OK(session->rewind(3));
  CHECK(session->position() == 3);
  CHECK(session->logits().empty());
  CHECK(greedy(*session, {kPrompt[3], kPrompt[4]}, 12) == first);
  CHECK(session->rewind(999).code() == elms::StatusCode::kInvalidArgument);
  CHECK(session->rewind(-1).code() == elms::StatusCode::kInvalidArgument);
}

TEST_CASE("session: prefill after decode continues with the pending token", "[model][session]") {
  auto session = elms::Session::create(open_model(small_q8_model()));
  REQUIRE_OK(session);
  const auto tokens = greedy(*session, kPrompt, 3);
  REQUIRE_OK(session->prefill(std::vector<elms::TokenId>{7, 8}));
  const std::vector<float> logits(session->logits().begin(), session->logits().end());
  CHECK(session->position() == 5 + 3 + 2);

  auto other = elms::Session::create(open_model(small_q8_model()));
  REQUIRE_OK(other);
  std::vector<elms::TokenId> all = kPrompt;
  all.insert(all.end(), tokens.begin(), tokens.end());
  all.insert(all.end(), {7, 8});
  REQUIRE_OK(other->prefill(all));
  for (std::size_t i = 0; i < logits.size(); ++i) CHECK(other->logits()[i] == Approx(logits[i]).margin(2e-2));
}

TEST_CASE("session: bad input changes nothing", "[model][session]") {
  elms::SessionOptions options;
  options.context_tokens = 16;
  const auto model = open_model(small_q8_model());
  auto session = elms::Session::create(model, options);
  REQUIRE_OK(session);
  CHECK(session->decode().error().code() == elms::StatusCode::kInvalidArgument);
  CHECK(session->prefill({}).code() == elms::StatusCode::kInvalidArgument);
  CHECK(session->prefill(std::vector<elms::TokenId>{1, -1}).code() == elms::StatusCode::kInvalidArgument);
  CHECK(session->prefill(std::vector<elms::TokenId>{320}).code() == elms::StatusCode::kInvalidArgument);
  CHECK(session->prefill(std::vector<elms::TokenId>(17, 1)).code() == elms::StatusCode::kOutOfContext);
  CHECK(session->position() == 0);
  CHECK(session->set_level(99).code() == elms::StatusCode::kInvalidArgument);
  CHECK(session->set_level(-1).code() == elms::StatusCode::kInvalidArgument);

  const auto tokens = greedy(*session, kPrompt, 12);  // the last token is pending, so one more fits
  CHECK(session->position() == 16);
  CHECK(session->decode().error().code() == elms::StatusCode::kOutOfContext);
  CHECK(session->prefill(std::vector<elms::TokenId>{1}).code() == elms::StatusCode::kOutOfContext);
  CHECK(tokens.size() == 12);
  session->reset();
  const auto again = greedy(*session, kPrompt, 12);
  CHECK(again == tokens);

  CHECK(elms::Session::create(nullptr).error().code() == elms::StatusCode::kInvalidArgument);
  options.context_tokens = -1;
  CHECK(elms::Session::create(model, options).error().code() == elms::StatusCode::kInvalidArgument);
  options.context_tokens = 16;
  options.batch_tokens = 0;
  CHECK(elms::Session::create(model, options).error().code() == elms::StatusCode::kInvalidArgument);
}

TEST_CASE("session: a cancelled batch leaves the session as it was", "[model][session]") {
  const auto model = open_model(small_q8_model());
  elms::CancelToken cancel;
  int layers_seen = 0, cancel_at = -1;
  elms::SessionOptions options;
  options.batch_tokens = 8;
  options.probe = [&](elms::ProbePoint point, std::int32_t, std::span<const float>, std::int32_t, std::int32_t) {
    if (point == elms::ProbePoint::kLayerInput && layers_seen++ == cancel_at) cancel.cancel();
  };
  auto session = elms::Session::create(model, options);
  REQUIRE_OK(session);
  session->set_cancel(&cancel);
  const std::vector<elms::TokenId> prompt(20, 3);  // three batches of three layers
  const auto expected = greedy(*session, prompt, 5);

  for (int at = 0; at < 8; ++at) {
    session->reset();
    cancel.reset();
    layers_seen = 0;
    cancel_at = at;
    const elms::Status status = session->prefill(prompt);
    CAPTURE(at, status.message());
    CHECK(status.code() == elms::StatusCode::kCancelled);
    CHECK(layers_seen == at + 1);
    // Cancelled while the last layer of a batch runs, the batch is complete; the next one is not started.
    CHECK(session->position() == (at + 1) / 3 * 8);
    CHECK(session->logits().empty());
    cancel.reset();
    cancel_at = -1;
    const auto done = static_cast<std::size_t>(session->position());
    CHECK(greedy(*session, std::vector<elms::TokenId>(prompt.begin() + static_cast<std::ptrdiff_t>(done), prompt.end()), 5) == expected);
  }

  elms::PrefillOptions stop_early;
  stop_early.on_hidden = [](std::int32_t, std::int32_t, std::span<const float>) { return elms::Flow::kStop; };
  session->reset();
  CHECK(session->prefill(prompt, stop_early).code() == elms::StatusCode::kCancelled);
  CHECK(session->position() == 0);
}

TEST_CASE("session: arbitrary legal slices run, illegal ones are refused", "[model][session]") {
  const auto model = open_model(small_q8_model());
  auto session = elms::Session::create(model);
  REQUIRE_OK(session);
  std::vector<elms::LayerShape> slices = {{2, 2, 64}, {4, 2, 192}, {4, 2, 32}};
  REQUIRE_OK(session->set_slices(slices));
  CHECK(session->level() == -1);
  CHECK(session->width() < 1.0);
  CHECK(session->width() > model->levels()[0].cost_share / 2);
  CHECK(greedy(*session, kPrompt, 4).size() == 4);
  for (const elms::LayerShape& bad : {elms::LayerShape{3, 2, 64}, {2, 1, 64}, {0, 2, 64}, {6, 2, 64}, {2, 2, 65}, {2, 2, 0}, {2, 2, 224}}) {
    std::vector<elms::LayerShape> wrong = slices;
    wrong[1] = bad;
    CAPTURE(bad.q_heads, bad.kv_heads, bad.ff);
    CHECK(session->set_slices(wrong).code() == elms::StatusCode::kInvalidArgument);
  }
  CHECK(session->set_slices(std::span(slices).first(2)).code() == elms::StatusCode::kInvalidArgument);
}

TEST_CASE("session: on_hidden and on_logits are consistent", "[model][session]") {
  const auto model = open_model(small_q8_model());
  auto session = elms::Session::create(model);
  REQUIRE_OK(session);
  std::size_t hidden_rows = 0, logit_rows = 0;
  std::vector<float> last_logits;
  elms::PrefillOptions options;
  options.on_hidden = [&](std::int32_t, std::int32_t n, std::span<const float> hidden) {
    CHECK(hidden.size() == static_cast<std::size_t>(n) * 64);
    hidden_rows += static_cast<std::size_t>(n);
    return elms::Flow::kContinue;
  };
  options.on_logits = [&](std::int32_t, std::int32_t n, std::span<const float> logits) {
    CHECK(logits.size() == static_cast<std::size_t>(n) * 320);
    logit_rows += static_cast<std::size_t>(n);
    last_logits.assign(logits.end() - 320, logits.end());
    return elms::Flow::kContinue;
  };
  REQUIRE_OK(session->prefill(std::vector<elms::TokenId>(70, 4), options));
  CHECK(hidden_rows == 70);
  CHECK(logit_rows == 70);
  for (std::size_t i = 0; i < last_logits.size(); ++i) CHECK(last_logits[i] == Approx(session->logits()[i]).margin(1e-4));
}
