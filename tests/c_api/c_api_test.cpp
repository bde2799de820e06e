#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "answer_in_c.h"
#include "c_api_fixture.hpp"

using namespace elms_test;

namespace {

struct OpenModel {
  OpenModel() {
    elms_open_options options{};
    options.struct_size = sizeof options;
    options.n_threads = 1;
    elms_error error{};
    INFO(error.message);
    REQUIRE(elms_model_open(mini_path().c_str(), &options, &model, &error) == ELMS_OK);
  }
  ~OpenModel() { elms_model_close(model); }
  OpenModel(const OpenModel&) = delete;
  OpenModel& operator=(const OpenModel&) = delete;
  elms_model* model = nullptr;
};

std::vector<std::int32_t> tokens_of(const elms_model* model, const std::string& text) {
  std::size_t n = 0;
  REQUIRE(elms_tokenize(model, text.data(), text.size(), nullptr, nullptr, 0, &n, nullptr) == ELMS_OK);
  std::vector<std::int32_t> tokens(n);
  REQUIRE(elms_tokenize(model, text.data(), text.size(), nullptr, tokens.data(), tokens.size(), &n, nullptr) == ELMS_OK);
  return tokens;
}

}  // namespace

TEST_CASE("c_api gives the answers of the C++ API at every width", "[c_api]") {
  const auto model = elms_test::open_model(mini_path());
  const auto tokenizer = model->tokenizer();
  REQUIRE(tokenizer.has_value());
  const std::string prompt = "Once upon a time there was a";
  for (const double width : {0.3, 0.6, 1.0}) {
    auto session = elms::Session::create(model);
    REQUIRE(session.has_value());
    session->set_width(width);
    elms::GenerateOptions options;
    options.max_tokens = 24;
    const auto expected = elms::generate(*session, **tokenizer, (*tokenizer)->encode(prompt), options);
    REQUIRE(expected.has_value());

    answer_in_c answer;
    elms_error error{};
    INFO(error.message);
    REQUIRE(run_answer_in_c(mini_path().c_str(), width, prompt.c_str(), 24, &answer, &error) == ELMS_OK);
    CHECK(answer.text == expected->text);
    CHECK(answer.streamed == expected->text);
    CHECK(answer.n_tokens == static_cast<int>(expected->tokens.size()));
    CHECK(answer.finish == static_cast<elms_finish>(expected->finish));
    CHECK(answer.width == session->width());
  }
}

TEST_CASE("c_api decodes token by token, rewinds and goes on", "[c_api]") {
  const OpenModel open;
  const elms_model* model = open.model;
  CHECK(elms_model_level_width(model, elms_model_n_levels(model) - 1) == 1.0);
  CHECK(elms_model_level_width(model, elms_model_n_levels(model)) == 0.0);
  const std::vector<std::int32_t> prompt = tokens_of(model, "The cat sat");
  elms_session* session = nullptr;
  REQUIRE(elms_session_create(model, nullptr, &session, nullptr) == ELMS_OK);
  CHECK(elms_session_logits(session) == nullptr);
  const auto next = [&] {
    REQUIRE(elms_session_prefill(session, prompt.data(), prompt.size(), nullptr, nullptr) == ELMS_OK);
    std::int32_t token = -1;
    REQUIRE(elms_session_decode(session, nullptr, &token, nullptr) == ELMS_OK);
    return token;
  };
  const std::int32_t first = next();
  CHECK(elms_session_position(session) == static_cast<int>(prompt.size()));
  REQUIRE(elms_session_logits(session) != nullptr);
  CHECK(elms_session_logits(session)[first] >= elms_session_logits(session)[0]);
  REQUIRE(elms_session_rewind(session, 0, nullptr) == ELMS_OK);
  CHECK(next() == first);
  elms_session_reset(session);
  CHECK(elms_session_position(session) == 0);

  std::size_t n = 0;
  std::string text(64, '\0');
  REQUIRE(elms_detokenize(model, prompt.data(), prompt.size(), text.data(), text.size(), &n, nullptr) == ELMS_OK);
  CHECK(text.substr(0, n) == "The cat sat");
  elms_session_free(session);
}

TEST_CASE("c_api says what is wrong and changes nothing", "[c_api]") {
  elms_error error{};
  auto* model = reinterpret_cast<elms_model*>(std::numeric_limits<std::uintptr_t>::max());
  CHECK(elms_model_open("/no/such/model.gguf", nullptr, &model, &error) == ELMS_NOT_FOUND);
  CHECK(model == nullptr);
  CHECK(error.code == ELMS_NOT_FOUND);
  CHECK(std::string(error.message).find("/no/such/model.gguf") != std::string::npos);
  CHECK(elms_model_open(nullptr, nullptr, &model, &error) == ELMS_INVALID_ARGUMENT);
  CHECK(elms_model_open("x", nullptr, nullptr, &error) == ELMS_INVALID_ARGUMENT);

  // A message is cut between characters.
  std::string accents;
  for (int i = 0; i < 400; ++i) accents += "é";
  CHECK(elms_model_open(accents.c_str(), nullptr, &model, &error) != ELMS_OK);
  const std::size_t length = std::strlen(error.message);
  CHECK(length < sizeof error.message);
  CHECK((length < 2 || static_cast<unsigned char>(error.message[length - 1]) != 0xC3));

  CHECK(elms_session_create(nullptr, nullptr, nullptr, nullptr) == ELMS_INVALID_ARGUMENT);
  CHECK(elms_session_prefill(nullptr, nullptr, 0, nullptr, &error) == ELMS_INVALID_ARGUMENT);
  CHECK(elms_model_n_levels(nullptr) == 0);
  elms_model_close(nullptr);
  elms_session_free(nullptr);
  elms_answer_free(nullptr);
  elms_cancel_free(nullptr);
}

TEST_CASE("c_api takes structs of older and newer callers", "[c_api]") {
  const OpenModel open;
  struct Newer {
    elms_session_options known;
    std::int64_t unknown;
  } newer{};
  newer.known.struct_size = sizeof newer;
  elms_session* session = nullptr;
  elms_error error{};
  REQUIRE(elms_session_create(open.model, &newer.known, &session, &error) == ELMS_OK);
  elms_session_free(session);
  newer.unknown = 7;
  CHECK(elms_session_create(open.model, &newer.known, &session, &error) == ELMS_INVALID_ARGUMENT);
  CHECK(session == nullptr);

  elms_session_options older{};
  older.struct_size = offsetof(elms_session_options, width);  // a caller that knew no width
  older.width = 0.01;                                         // bytes that are not its own
  REQUIRE(elms_session_create(open.model, &older, &session, &error) == ELMS_OK);
  CHECK(elms_session_width(session) == 1.0);
  elms_session_free(session);
  older.struct_size -= 4;  // of no struct: the last field might be half a pointer
  CHECK(elms_session_create(open.model, &older, &session, &error) == ELMS_INVALID_ARGUMENT);
  older.struct_size = 0;
  CHECK(elms_session_create(open.model, &older, &session, &error) == ELMS_INVALID_ARGUMENT);
}

TEST_CASE("c_api refuses what does not fit and cancels what runs", "[c_api]") {
  const OpenModel open;
  const std::vector<std::int32_t> prompt = tokens_of(open.model, "one two three four");
  std::size_t n = 0;
  std::int32_t one = 0;
  elms_error error{};
  CHECK(elms_tokenize(open.model, "one two three", 13, nullptr, &one, 1, &n, &error) == ELMS_INVALID_ARGUMENT);
  CHECK(n > 1);

  elms_session_options options{};
  options.struct_size = sizeof options;
  options.context_tokens = 3;
  elms_session* session = nullptr;
  REQUIRE(elms_session_create(open.model, &options, &session, &error) == ELMS_OK);
  CHECK(elms_session_prefill(session, prompt.data(), prompt.size(), nullptr, &error) == ELMS_OUT_OF_CONTEXT);
  CHECK(elms_session_position(session) == 0);
  std::int32_t token = 0;
  CHECK(elms_session_decode(session, nullptr, &token, &error) == ELMS_INVALID_ARGUMENT);
  CHECK(token == -1);

  elms_cancel* cancel = elms_cancel_create();
  REQUIRE(cancel != nullptr);
  elms_cancel_set(cancel);
  CHECK(elms_session_prefill(session, prompt.data(), 2, cancel, &error) == ELMS_CANCELLED);
  CHECK(elms_session_position(session) == 0);
  elms_cancel_reset(cancel);
  CHECK(elms_session_prefill(session, prompt.data(), 2, cancel, &error) == ELMS_OK);
  elms_cancel_free(cancel);
  elms_sampling sampling{};
  sampling.struct_size = sizeof sampling;
  sampling.temperature = -1.0f;
  CHECK(elms_session_set_sampling(session, &sampling, &error) == ELMS_INVALID_ARGUMENT);
  elms_session_free(session);
}
