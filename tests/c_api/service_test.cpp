// Requests with targets through elms.h.
#include <atomic>
#include <cmath>
#include <limits>
#include <thread>

#include "c_api_fixture.hpp"
#include "elms/detail/gguf.hpp"

using namespace elms_test;

namespace {

/// The model that ships, with a chat template put into its file.
std::string chat_model_path() {
  static const std::string path = [] {
    const auto from = elms::detail::GgufFile::open(mini_path());
    REQUIRE_OK(from);
    elms::detail::GgufWriter to;
    for (const auto& value : from->values()) to.set(value);
    to.set("tokenizer.chat_template",
           "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>\\n' }}"
           "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}");
    for (const auto& tensor : from->tensors())
      REQUIRE_OK(to.add_tensor(tensor.name, tensor.type, std::span(tensor.dims).first(tensor.n_dims)));
    const std::string written = scratch_path("chat.gguf");
    REQUIRE_OK(to.begin(written));
    for (const auto& tensor : from->tensors()) REQUIRE_OK(to.write(tensor.data));
    REQUIRE_OK(to.finish());
    return written;
  }();
  return path;
}

/// A service that guesses times instead of measuring them.
ServiceHandle service_in_c(const elms_model* model,
                           elms_service_options options = sized<elms_service_options>()) {
  auto planner_options = sized<elms_planner_options>();
  planner_options.without_probe = 1;
  elms_planner* raw = nullptr;
  REQUIRE(elms_planner_create(model, &planner_options, &raw, nullptr) == ELMS_OK);
  const PlannerHandle planner(raw);  // the service keeps it
  if (options.planner == nullptr) options.planner = planner.get();
  elms_service* service = nullptr;
  elms_error error{};
  const elms_code code = elms_service_create(model, &options, &service, &error);
  INFO(error.message);
  REQUIRE(code == ELMS_OK);
  return ServiceHandle(service);
}

/// Of a prompt in one segment. The segment must outlive it.
elms_request request_in_c(const elms_segment& segment, std::int32_t max_tokens) {
  auto request = sized<elms_request>();
  request.prompt = &segment;
  request.n_prompt = 1;
  request.max_tokens = max_tokens;
  return request;
}

AnswerHandle served_answer(elms_service* service, const elms_request& request) {
  elms_answer* answer = nullptr;
  elms_error error{};
  const elms_code code = elms_service_generate(service, &request, &answer, &error);
  INFO(error.message);
  REQUIRE(code == ELMS_OK);
  return AnswerHandle(answer);
}

elms_plan served_plan(const elms_answer* answer) {
  auto plan = sized<elms_plan>();
  REQUIRE(elms_answer_plan(answer, &plan, nullptr) == ELMS_OK);
  return plan;
}

elms_flow append_to_string(void* user_data, const char* text, size_t text_bytes) {
  static_cast<std::string*>(user_data)->append(text, text_bytes);
  return ELMS_CONTINUE;
}

constexpr std::string_view kStory = "Once upon a time there was a little";

}  // namespace

TEST_CASE("c_api service: answers are those of C++, streamed and planned", "[c_api][service]") {
  ModelHandle model = open_in_c(mini_path());
  const ServiceHandle service = service_in_c(model.get());
  model.reset();  // the service keeps it
  elms::ServiceOptions options;
  options.model = open_model(mini_path());
  elms::PlannerOptions guessing;
  guessing.probe = false;
  const auto planner = elms::SLOPlanner::create(options.model, guessing);
  REQUIRE_OK(planner);
  options.planner = *planner;
  const auto expected_service = elms::ElasticService::create(options);
  REQUIRE_OK(expected_service);

  const elms_segment segment = segment_in_c(kStory, ELMS_ROLE_OTHER, false);
  for (const double width : {0.3, 0.7, 1.0}) {
    elms::ServiceRequest expected_request;
    expected_request.prompt = {elms::Segment::protect(std::string(kStory))};
    expected_request.max_tokens = 12;
    expected_request.level = options.model->level_for_width(width);
    const auto expected = (*expected_service)->generate(expected_request);
    REQUIRE_OK(expected);

    auto request = request_in_c(segment, 12);
    request.width = width;
    std::string streamed;
    request.on_text = append_to_string;
    request.user_data = &streamed;
    const AnswerHandle answer = served_answer(service.get(), request);
    CHECK(std::string(elms_answer_text(answer.get())) == expected->text);
    CHECK(streamed == expected->text);
    CHECK(elms_answer_finish(answer.get()) == static_cast<elms_finish>(expected->finish));
    CHECK(elms_answer_n_tokens(answer.get()) == 12);
    CHECK(elms_answer_n_prompt_tokens(answer.get()) == expected->n_prompt_tokens);
    CHECK(elms_answer_n_reused_tokens(answer.get()) == expected->n_reused_tokens);
    CHECK(elms_answer_status(answer.get(), nullptr) == ELMS_OK);
    const elms_plan plan = served_plan(answer.get());
    CHECK(plan.level == *expected_request.level);
    CHECK(std::isinf(plan.ttft_target_ms));
    auto times = sized<elms_times>();
    REQUIRE(elms_answer_times(answer.get(), &times, nullptr) == ELMS_OK);
    CHECK(times.ttft_ms == elms_answer_ttft_ms(answer.get()));
    CHECK(times.ttft_ms > 0.0);
    CHECK(times.total_ms >= times.ttft_ms);
  }
  auto status = sized<elms_service_status>();
  REQUIRE(elms_service_get_status(service.get(), &status, nullptr) == ELMS_OK);
  CHECK(status.n_answered == 3);
  CHECK(status.n_running + status.n_queued == 0);
  CHECK(status.kv_bytes > 0);
}

TEST_CASE("c_api service: stops of every kind", "[c_api][service]") {
  const ModelHandle model = open_in_c(mini_path());
  const ServiceHandle service = service_in_c(model.get());
  const elms_segment segment = segment_in_c(kStory, ELMS_ROLE_OTHER, false);
  const auto whole = served_answer(service.get(), request_in_c(segment, 16));
  const std::string text = elms_answer_text(whole.get());
  REQUIRE(text.size() > 8);

  auto request = request_in_c(segment, 16);
  const std::string stop = text.substr(5, 2);
  const char* const stops[] = {stop.c_str()};
  request.stop = stops;
  request.n_stop = 1;
  const auto stopped = served_answer(service.get(), request);
  CHECK(elms_answer_finish(stopped.get()) == ELMS_FINISH_STOP_STRING);
  CHECK(std::string(elms_answer_text(stopped.get())) == text.substr(0, text.find(stop)));
  CHECK(elms_answer_n_reused_tokens(stopped.get()) > 0);

  request = request_in_c(segment, 16);
  request.on_text = [](void*, const char*, size_t) { return ELMS_STOP; };
  CHECK(elms_answer_finish(served_answer(service.get(), request).get()) == ELMS_FINISH_CALLBACK);

  request = request_in_c(segment, -1);
  CHECK(elms_answer_n_tokens(served_answer(service.get(), request).get()) == 0);

  const CancelHandle cancel(elms_cancel_create());
  elms_cancel_set(cancel.get());
  request = request_in_c(segment, 16);
  request.cancel = cancel.get();
  CHECK(elms_answer_finish(served_answer(service.get(), request).get()) == ELMS_FINISH_CANCELLED);

  request = request_in_c(segment, 16);
  request.deadline_ms = 1e-9;
  CHECK(elms_answer_finish(served_answer(service.get(), request).get()) == ELMS_FINISH_DEADLINE);

  request = request_in_c(segment, 16);
  request.ttft_ms = 1e-9;
  request.reject_infeasible = 1;
  const auto rejected = served_answer(service.get(), request);
  CHECK(elms_answer_finish(rejected.get()) == ELMS_FINISH_REJECTED);
  CHECK(std::string(elms_answer_text(rejected.get())).empty());
  CHECK(served_plan(rejected.get()).accepted == 0);
  request.reject_infeasible = 0;
  const auto best_effort = served_answer(service.get(), request);
  CHECK(elms_answer_n_tokens(best_effort.get()) == 16);
  CHECK(served_plan(best_effort.get()).feasible == 0);
}

TEST_CASE("c_api service: sampling with a seed", "[c_api][service]") {
  const ModelHandle model = open_in_c(mini_path());
  const ServiceHandle service = service_in_c(model.get());
  const elms_segment segment = segment_in_c(kStory, ELMS_ROLE_OTHER, false);
  auto sampling = sized<elms_sampling>();
  sampling.temperature = 2.0f;
  auto request = request_in_c(segment, 12);
  const std::string greedy = elms_answer_text(served_answer(service.get(), request).get());
  request.sampling = &sampling;
  sampling.seed = 1;
  const std::string one = elms_answer_text(served_answer(service.get(), request).get());
  CHECK(one == elms_answer_text(served_answer(service.get(), request).get()));
  CHECK(one != greedy);
  sampling.temperature = -1.0f;
  elms_answer* answer = nullptr;
  elms_error error{};
  const elms_code code = elms_service_generate(service.get(), &request, &answer, &error);
  AnswerHandle ended(answer);
  const bool is_refused = code == ELMS_INVALID_ARGUMENT ||
                          (ended != nullptr && elms_answer_finish(ended.get()) == ELMS_FINISH_ERROR);
  CHECK(is_refused);
}

TEST_CASE("c_api service: prompts are shortened, and the rest says by how much", "[c_api][service]") {
  const ModelHandle model = open_in_c(mini_path());
  RefinerHandle refiner = open_refiner_in_c();
  auto refine = sized<elms_refine_options>();
  const char* const forced[] = {"tea"};
  refine.force_tokens = forced;
  refine.n_force_tokens = 1;
  auto options = sized<elms_service_options>();
  options.refiner = refiner.get();
  options.refine = &refine;
  const ServiceHandle service = service_in_c(model.get(), options);
  refiner.reset();  // the service keeps it
  const SamplePrompt prompt;
  auto request = sized<elms_request>();
  request.prompt = prompt.in_c.data();
  request.n_prompt = prompt.in_c.size();
  request.max_tokens = 4;
  request.keep_ratio = 0.4;
  const AnswerHandle answer = served_answer(service.get(), request);
  CHECK(elms_answer_n_prompt_tokens(answer.get()) < elms_answer_n_original_tokens(answer.get()));
  const std::string refined = elms_answer_refined_prompt(answer.get());
  CHECK(refined.find(SamplePrompt::kQuestion) != std::string::npos);
  CHECK(refined.find("tea") != std::string::npos);
  CHECK(refined.size() < prompt.text.size());
  CHECK(served_plan(answer.get()).keep_ratio == 0.4);
  auto times = sized<elms_times>();
  REQUIRE(elms_answer_times(answer.get(), &times, nullptr) == ELMS_OK);
  CHECK(times.refine_ms > 0.0);

  // What guards keep goes before what the planner would keep.
  const elms_segment code =
      segment_in_c("Some words, and `a_function(with, arguments)`.", ELMS_ROLE_CONTEXT, true);
  request.prompt = &code;
  request.n_prompt = 1;
  request.keep_ratio = 0.1;
  const AnswerHandle with_code = served_answer(service.get(), request);
  CHECK(std::string(elms_answer_refined_prompt(with_code.get())) == "`a_function(with, arguments)`");
  request.prompt = prompt.in_c.data();
  request.n_prompt = prompt.in_c.size();

  request.keep_ratio = 1.0;
  const AnswerHandle uncut = served_answer(service.get(), request);
  CHECK(std::string(elms_answer_refined_prompt(uncut.get())).empty());

  elms_error error{};
  elms_service* none = nullptr;
  refine.keep_ratio = 0.5;  // the planner's business
  options.refiner = nullptr;
  CHECK(elms_service_create(model.get(), &options, &none, &error) == ELMS_INVALID_ARGUMENT);
}

TEST_CASE("c_api service: messages go through the model's chat template", "[c_api][service]") {
  const ModelHandle chat = open_in_c(chat_model_path());
  const ServiceHandle service = service_in_c(chat.get());
  const elms_segment system = segment_in_c("You tell stories.", ELMS_ROLE_SYSTEM, false);
  const elms_segment parts[] = {segment_in_c("A cat. ", ELMS_ROLE_CONTEXT, true),
                                segment_in_c("Tell me of it.", ELMS_ROLE_QUESTION, false)};
  elms_message messages[] = {sized<elms_message>(), sized<elms_message>()};
  messages[0].role = "system";
  messages[0].content = &system;
  messages[0].n_content = 1;
  messages[1].role = "user";
  messages[1].content = parts;
  messages[1].n_content = 2;
  auto request = sized<elms_request>();
  request.messages = messages;
  request.n_messages = 2;
  request.max_tokens = 8;
  const std::string by_template = elms_answer_text(served_answer(service.get(), request).get());

  elms::ServiceOptions options;
  options.model = open_model(chat_model_path());
  const auto expected_service = elms::ElasticService::create(options);
  REQUIRE_OK(expected_service);
  elms::ServiceRequest expected_request;
  expected_request.messages = {elms::ChatMessage::system("You tell stories."),
                               {"user",
                                {elms::Segment::compress("A cat. "),
                                 elms::Segment::protect("Tell me of it.", elms::SegmentRole::kQuestion)}}};
  expected_request.max_tokens = 8;
  const auto expected = (*expected_service)->generate(expected_request);
  REQUIRE_OK(expected);
  CHECK(by_template == expected->text);

  elms_answer* answer = nullptr;
  elms_error error{};
  const ModelHandle plain = open_in_c(mini_path());
  CHECK(elms_service_generate(service_in_c(plain.get()).get(), &request, &answer, &error) == ELMS_NOT_FOUND);
  CHECK(std::string(error.message).find("template") != std::string::npos);
  messages[1].role = nullptr;
  CHECK(elms_service_generate(service.get(), &request, &answer, &error) == ELMS_INVALID_ARGUMENT);
  messages[1].role = "user";
  request.prompt = parts;
  request.n_prompt = 2;
  CHECK(elms_service_generate(service.get(), &request, &answer, &error) == ELMS_INVALID_ARGUMENT);
  CHECK(answer == nullptr);
}

TEST_CASE("c_api service: teaches the planner that it shares", "[c_api][service]") {
  const ModelHandle model = open_in_c(mini_path());
  ServiceHandle service = service_in_c(model.get());
  elms_planner* raw = nullptr;
  REQUIRE(elms_service_planner(service.get(), &raw, nullptr) == ELMS_OK);
  const PlannerHandle planner(raw);
  auto request = sized<elms_plan_request>();
  request.n_protected_tokens = 10;
  auto before = sized<elms_plan>(), after = sized<elms_plan>();
  REQUIRE(elms_planner_plan(planner.get(), &request, &before, nullptr) == ELMS_OK);
  const elms_segment segment = segment_in_c(kStory, ELMS_ROLE_OTHER, false);
  served_answer(service.get(), request_in_c(segment, 8));
  service.reset();  // the planner lives on
  REQUIRE(elms_planner_plan(planner.get(), &request, &after, nullptr) == ELMS_OK);
  CHECK(before.ttft_ms != after.ttft_ms);
}

TEST_CASE("c_api service: requests from several threads", "[c_api][service][threads]") {
  const ModelHandle model = open_in_c(mini_path());
  auto options = sized<elms_service_options>();
  options.max_running = 2;
  options.reuse = ELMS_REUSE_SAME_LEVEL;
  const ServiceHandle service = service_in_c(model.get(), options);
  const elms_segment segment = segment_in_c(kStory, ELMS_ROLE_OTHER, false);
  auto request = request_in_c(segment, 6);
  request.width = 0.5;
  const std::string expected = elms_answer_text(served_answer(service.get(), request).get());
  std::atomic<int> n_right{0};
  const auto ask = [&] {
    for (int i = 0; i < 3; ++i) {
      elms_answer* answer = nullptr;
      if (elms_service_generate(service.get(), &request, &answer, nullptr) == ELMS_OK &&
          expected == elms_answer_text(answer))
        ++n_right;
      elms_answer_free(answer);
    }
  };
  std::thread other(ask);
  ask();
  other.join();
  CHECK(n_right == 6);
}

TEST_CASE("c_api service: says what is wrong", "[c_api][service]") {
  const ModelHandle model = open_in_c(mini_path());
  elms_error error{};
  auto* service = reinterpret_cast<elms_service*>(std::numeric_limits<std::uintptr_t>::max());
  const auto refuses = [&](auto member, auto value) {
    auto options = sized<elms_service_options>();
    options.*member = value;
    const elms_code code = elms_service_create(model.get(), &options, &service, &error);
    INFO(error.message);
    CHECK(service == nullptr);
    return code == ELMS_INVALID_ARGUMENT;
  };
  CHECK(refuses(&elms_service_options::n_sessions, -1));
  CHECK(refuses(&elms_service_options::max_running, -1));
  // A host that means "no limit" must not get as many sessions as memory holds.
  CHECK(refuses(&elms_service_options::n_sessions, 1025));
  CHECK(refuses(&elms_service_options::max_running, std::numeric_limits<std::int32_t>::max()));
  CHECK(refuses(&elms_service_options::reuse, 3));
  CHECK(refuses(&elms_service_options::batch_tokens, -4));
  CHECK(refuses(&elms_service_options::struct_size, std::size_t{7}));
  CHECK(elms_service_create(nullptr, nullptr, &service, &error) == ELMS_INVALID_ARGUMENT);
  CHECK(elms_service_create(model.get(), nullptr, nullptr, &error) == ELMS_INVALID_ARGUMENT);

  const ServiceHandle made = service_in_c(model.get());
  const elms_segment segment = segment_in_c(kStory, ELMS_ROLE_OTHER, false);
  elms_answer* answer = nullptr;
  const auto fails = [&](auto member, auto value) {
    auto request = request_in_c(segment, 4);
    request.*member = value;
    const elms_code code = elms_service_generate(made.get(), &request, &answer, &error);
    CHECK(answer == nullptr);
    return code;
  };
  CHECK(fails(&elms_request::n_prompt, std::size_t{0}) == ELMS_INVALID_ARGUMENT);
  CHECK(fails(&elms_request::prompt, static_cast<const elms_segment*>(nullptr)) == ELMS_INVALID_ARGUMENT);
  CHECK(fails(&elms_request::ttft_ms, -1.0) == ELMS_INVALID_ARGUMENT);
  CHECK(fails(&elms_request::tpot_share, 2.0) == ELMS_INVALID_ARGUMENT);
  CHECK(fails(&elms_request::width, 1.5) == ELMS_INVALID_ARGUMENT);
  CHECK(fails(&elms_request::keep_ratio, -0.5) == ELMS_INVALID_ARGUMENT);
  CHECK(fails(&elms_request::deadline_ms, std::nan("")) == ELMS_INVALID_ARGUMENT);
  CHECK(fails(&elms_request::n_stop, std::size_t{1}) == ELMS_INVALID_ARGUMENT);
  CHECK(fails(&elms_request::struct_size, std::size_t{0}) == ELMS_INVALID_ARGUMENT);
  const std::string long_text(8000, 'x');
  const elms_segment too_long = segment_in_c(long_text, ELMS_ROLE_OTHER, false);
  CHECK(fails(&elms_request::prompt, &too_long) == ELMS_OUT_OF_CONTEXT);
  CHECK(elms_service_generate(made.get(), nullptr, &answer, &error) == ELMS_INVALID_ARGUMENT);
  CHECK(elms_service_generate(nullptr, nullptr, &answer, &error) == ELMS_INVALID_ARGUMENT);
  const auto request = request_in_c(segment, 4);
  CHECK(elms_service_generate(made.get(), &request, nullptr, &error) == ELMS_INVALID_ARGUMENT);

  elms_planner* planner = nullptr;
  CHECK(elms_service_planner(nullptr, &planner, &error) == ELMS_INVALID_ARGUMENT);
  CHECK(elms_service_get_status(made.get(), nullptr, &error) == ELMS_INVALID_ARGUMENT);
  elms_service_free(nullptr);
}

TEST_CASE("c_api: a session's answer has no plan", "[c_api][service]") {
  const ModelHandle model = open_in_c(mini_path());
  elms_session* raw = nullptr;
  REQUIRE(elms_session_create(model.get(), nullptr, &raw, nullptr) == ELMS_OK);
  const SessionHandle session(raw);
  auto options = sized<elms_generate_options>();
  options.max_tokens = 3;
  elms_answer* raw_answer = nullptr;
  REQUIRE(elms_generate(session.get(), kStory.data(), kStory.size(), &options, &raw_answer, nullptr) ==
          ELMS_OK);
  const AnswerHandle answer(raw_answer);
  auto plan = sized<elms_plan>();
  CHECK(elms_answer_plan(answer.get(), &plan, nullptr) == ELMS_NOT_FOUND);
  CHECK(elms_answer_plan(nullptr, &plan, nullptr) == ELMS_INVALID_ARGUMENT);
  auto times = sized<elms_times>();
  CHECK(elms_answer_times(answer.get(), &times, nullptr) == ELMS_OK);
  CHECK(times.ttft_ms > 0.0);
  CHECK(times.prefill_ms == 0.0);
  CHECK(elms_answer_n_prompt_tokens(answer.get()) == 0);
  CHECK(std::string(elms_answer_refined_prompt(answer.get())).empty());
  CHECK(elms_answer_status(nullptr, nullptr) == ELMS_OK);
}
