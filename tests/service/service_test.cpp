// One request at a time: plans, answers, cache, stops.
#include <algorithm>
#include <limits>
#include <utility>

#include "service_fixture.hpp"

using namespace elms_test;
using elms::FinishReason;

TEST_CASE("service: an answer is the one that a session gives at the planned level", "[service]") {
  const auto service = make_service();
  const int n_levels = static_cast<int>(service->model().levels().size());
  for (int level = 0; level < n_levels; ++level) {
    auto request = request_of("once upon a time", 10);
    request.level = level;
    std::string streamed;
    request.on_text = [&](std::string_view piece) {
      streamed += piece;
      return elms::Flow::kContinue;
    };
    const auto answer = service->generate(request);
    REQUIRE_OK(answer);
    CHECK(answer->plan.level == level);
    CHECK(answer->tokens == tokens_alone(*service, "once upon a time", level, 10));
    CHECK(answer->text == streamed);
    CHECK(answer->finish == FinishReason::kMaxTokens);
    CHECK(answer->n_reused_tokens == 0);  // of another level
    CHECK(answer->times.ttft_ms > 0.0);
    CHECK(answer->times.total_ms >= answer->times.ttft_ms);
    CHECK(answer->plan.ttft_ms > 0.0);
  }
  CHECK(service->status().n_answered == static_cast<std::uint64_t>(n_levels));
  CHECK(service->status().n_running == 0);
}

TEST_CASE("service: without targets the full model answers", "[service]") {
  const auto service = make_service();
  const auto answer = service->generate(request_of("abc", 4));
  REQUIRE_OK(answer);
  CHECK(answer->plan.level == static_cast<int>(service->model().levels().size()) - 1);
  CHECK(answer->plan.keep_ratio == 1.0);
}

TEST_CASE("service: what prompts begin with alike is computed once, and the answer stays the same",
          "[service]") {
  const auto service = make_service();
  const std::string head = "a long system prompt that every request begins with, ";
  auto first = service->generate(request_of(head + "first", 6));
  REQUIRE_OK(first);
  CHECK(first->n_reused_tokens == 0);
  const auto other = service->generate(request_of("something else", 6));  // goes to the other session
  REQUIRE_OK(other);
  const auto second = service->generate(request_of(head + "second", 8));
  REQUIRE_OK(second);
  CHECK(second->n_reused_tokens > 20);
  CHECK(second->n_reused_tokens < second->n_prompt_tokens);
  CHECK(second->tokens == tokens_alone(*service, head + "second", second->plan.level, 8));
  const auto again = service->generate(request_of(head + "second", 8));
  REQUIRE_OK(again);
  CHECK(again->n_reused_tokens == again->n_prompt_tokens - 1);  // the last one gives the logits
  CHECK(again->text == second->text);

  auto options = service_options();
  options.reuse = elms::CacheReuse::kOff;
  const auto forgetful = make_service(options);
  REQUIRE_OK(forgetful->generate(request_of(head + "second", 8)));
  const auto anew = forgetful->generate(request_of(head + "second", 8));
  REQUIRE_OK(anew);
  CHECK(anew->n_reused_tokens == 0);
  CHECK(anew->text == second->text);
}

TEST_CASE("service: repetition penalties see the prompt, reused or not", "[service]") {
  const auto service = make_service();
  auto request = request_of("repeat repeat repeat", 10);
  request.sampling.repetition_penalty = 1.5f;
  const auto first = service->generate(request);
  const auto second = service->generate(request);
  REQUIRE_OK(first);
  REQUIRE_OK(second);
  CHECK(second->n_reused_tokens > 0);
  CHECK(first->tokens == second->tokens);
}

TEST_CASE("service: entries of a wider level may be used by a narrower request, not the other way",
          "[service]") {
  auto options = service_options();
  options.reuse = elms::CacheReuse::kWider;
  const auto service = make_service(options);
  const int full = static_cast<int>(service->model().levels().size()) - 1;
  const auto run = [&](int level) {
    auto request = request_of("the same prompt again and again", 2);
    request.level = level;
    const auto answer = service->generate(request);
    REQUIRE_OK(answer);
    return answer->n_reused_tokens;
  };
  CHECK(run(full) == 0);
  CHECK(run(0) > 0);
  CHECK(run(0) > 0);
}

TEST_CASE("service: a forced plan with a confidence that is no number is as with none", "[service]") {
  const auto margins = [](double confidence) {
    auto request = request_of("abc", 2);
    request.level = 0;
    request.confidence = confidence;
    const auto answer = make_service()->generate(request);  // of its own: services learn
    REQUIRE_OK(answer);
    return std::pair(answer->plan.ttft_margin_ms, answer->plan.tpot_margin_ms);
  };
  const auto none_said = margins(elms::ServiceRequest().confidence);
  CHECK(none_said.first > 0.0);
  CHECK(margins(std::numeric_limits<double>::quiet_NaN()) == none_said);
  CHECK(margins(0.6).first < none_said.first);
}

TEST_CASE("service: stop strings, callbacks and a full context end an answer", "[service]") {
  const auto service = make_service();
  const auto whole = service->generate(request_of("abc", 24));
  REQUIRE_OK(whole);
  REQUIRE(whole->text.size() > 8);
  auto request = request_of("abc", 24);
  request.stop = {whole->text.substr(4, 2)};
  const auto stopped = service->generate(request);
  REQUIRE_OK(stopped);
  CHECK(stopped->finish == FinishReason::kStopString);
  CHECK(stopped->text == whole->text.substr(0, whole->text.find(request.stop[0])));

  request = request_of("abc", 24);
  request.on_text = [](std::string_view) { return elms::Flow::kStop; };
  const auto called = service->generate(request);
  REQUIRE_OK(called);
  CHECK(called->finish == FinishReason::kCallback);
  CHECK(called->tokens.size() < 24);
  CHECK(whole->text.starts_with(called->text));

  const auto full = service->generate(request_of("abc", 4000));
  REQUIRE_OK(full);
  CHECK((full->finish == FinishReason::kContextFull || full->finish == FinishReason::kEndOfGeneration));
  const auto too_long = service->generate(request_of(std::string(4000, 'x'), 4));
  CHECK(too_long.error().code() == elms::StatusCode::kOutOfContext);

  const auto after = service->generate(request_of("abc", 24));  // the sessions are as good as before
  REQUIRE_OK(after);
  CHECK(after->text == whole->text);
}

TEST_CASE("service: what can never work is refused", "[service]") {
  const auto service = make_service();
  CHECK(service->generate({}).error().code() == elms::StatusCode::kInvalidArgument);
  auto request = request_of("abc");
  request.level = 99;
  CHECK(service->generate(request).error().code() == elms::StatusCode::kInvalidArgument);
  request = request_of("abc");
  request.keep_ratio = 0.0;
  CHECK(service->generate(request).error().code() == elms::StatusCode::kInvalidArgument);
  request = request_of("abc");
  request.slo.ttft_ms = -1.0;
  CHECK(service->generate(request).error().code() == elms::StatusCode::kInvalidArgument);
  request = request_of("abc");
  request.messages = {elms::ChatMessage::user("abc")};
  CHECK(service->generate(request).error().code() == elms::StatusCode::kInvalidArgument);
  request.prompt.clear();
  CHECK(service->generate(request).error().code() ==
        elms::StatusCode::kNotFound);  // this model has no chat template
  elms::ServiceOptions options;
  CHECK(elms::ElasticService::create(options).error().code() == elms::StatusCode::kInvalidArgument);
}

TEST_CASE("service: a request that is cancelled stops where it is, and its session goes on", "[service]") {
  const auto service = make_service();
  elms::CancelToken cancel;
  auto request = request_of("a prompt to cancel", 20);
  request.cancel = &cancel;
  cancel.cancel();
  auto answer = service->generate(request);  // before it starts
  REQUIRE_OK(answer);
  CHECK(answer->finish == FinishReason::kCancelled);
  CHECK(answer->tokens.empty());

  cancel.reset();
  std::string streamed;
  request.on_text = [&](std::string_view piece) {
    streamed += piece;
    if (streamed.size() > 4) cancel.cancel();
    return elms::Flow::kContinue;
  };
  answer = service->generate(request);
  REQUIRE_OK(answer);
  CHECK(answer->finish == FinishReason::kCancelled);
  CHECK(answer->text == streamed);
  CHECK(answer->tokens.size() < 20);

  cancel.reset();
  request.on_text = nullptr;
  answer = service->generate(request);
  REQUIRE_OK(answer);
  CHECK(answer->tokens == tokens_alone(*service, "a prompt to cancel", answer->plan.level, 20));
}

TEST_CASE("service: deadlines end requests in prefill and while decoding", "[service]") {
  TestClock clock;
  auto options = service_options();
  options.batch_tokens = 16;
  int n_reads = 0;
  options.now_ms = [&, read = clock.reader()] {
    ++n_reads;
    clock.advance(0.001);
    return read();
  };
  const auto service = make_service(options);
  auto request = request_of(std::string(90, 'x'), 30);
  const auto whole = service->generate(request);
  REQUIRE_OK(whole);
  bool in_prefill = false, in_decode = false;
  for (double deadline = 0.002; deadline < 0.2; deadline *= 1.25) {
    auto late = request_of(std::string(90, 'y'), 30);
    late.deadline_ms = deadline;
    const auto answer = service->generate(late);
    REQUIRE_OK(answer);
    if (answer->finish != FinishReason::kDeadline) continue;
    in_prefill |= answer->tokens.empty() && answer->times.prefill_ms > 0.0;
    in_decode |= !answer->tokens.empty();
    CHECK(answer->times.total_ms < deadline + 0.03);  // a few reads of the clock later
  }
  CHECK(in_prefill);
  CHECK(in_decode);
  const auto again = service->generate(request);
  REQUIRE_OK(again);
  CHECK(again->text == whole->text);
}

TEST_CASE("service: tokens that run late narrow the level, and on request they do not", "[service]") {
  for (const bool narrow : {true, false}) {
    TestClock clock;
    auto options = service_options();
    options.now_ms = clock.reader();
    options.narrow_while_decoding = narrow;
    options.learn = false;
    const auto service = make_service(options);
    auto request = request_of("tokens that are late", 40);
    request.level = static_cast<int>(service->model().levels().size()) - 1;
    request.slo.tpot_ms = 10.0;
    int n_pieces = 0;
    request.on_text = [&](std::string_view) {
      clock.advance(++n_pieces < 12 ? 25.0 : 0.5);  // a slow while, then a quiet one
      return elms::Flow::kContinue;
    };
    const auto answer = service->generate(request);
    REQUIRE_OK(answer);
    CHECK(answer->plan.level == *request.level);
    if (!narrow) {
      CHECK(answer->level_changes.empty());
      continue;
    }
    REQUIRE(answer->level_changes.size() >= 2);
    CHECK(answer->level_changes.front().level < *request.level);
    CHECK(answer->level_changes.back().level > answer->level_changes.front().level);  // it widened again
    CHECK(answer->tokens == tokens_alone(*service, "tokens that are late", *request.level,
                                         answer->tokens.size(), answer->level_changes));
  }
}

TEST_CASE("service: what cannot be in time is rejected, or run as well as it can be", "[service]") {
  const auto service = make_service();
  auto request = request_of("much too late", 8);
  request.slo.ttft_ms = 1e-6;
  request.policy = elms::InfeasiblePolicy::kReject;
  auto answer = service->generate(request);
  REQUIRE_OK(answer);
  CHECK(answer->finish == FinishReason::kRejected);
  CHECK_FALSE(answer->plan.feasible);
  CHECK_FALSE(answer->plan.reason.empty());
  CHECK(answer->text.empty());
  request.policy = elms::InfeasiblePolicy::kBestEffort;
  answer = service->generate(request);
  REQUIRE_OK(answer);
  CHECK_FALSE(answer->plan.feasible);
  CHECK(answer->tokens.size() == 8);
}

TEST_CASE("service: the planner learns from requests, unless told not to", "[service]") {
  for (const bool learn : {true, false}) {
    auto options = service_options();
    options.learn = learn;
    const auto service = make_service(options);
    const double before = service->planner()->predict_tpot(0, 16).ms;
    for (int i = 0; i < 6; ++i) {
      auto request = request_of("something to learn from", 8);
      request.level = 0;
      REQUIRE_OK(service->generate(request));
    }
    CHECK((service->planner()->predict_tpot(0, 16).ms != before) == learn);
  }
}
