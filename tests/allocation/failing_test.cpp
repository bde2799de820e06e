// Every allocation of open, prefill, decode and refine fails once: that is kOutOfMemory, nothing leaks, and what was
// there before works on as if nothing had been. With glibc also those fail that C libraries make for us.
#include <cstdio>
#include <functional>

#include "../c_api/c_api_fixture.hpp"
#include "../io/tiny_checkpoint.hpp"
#include "../refine/refiner_file.hpp"
#include "allocations.hpp"
#include "test_model.hpp"

using namespace elms_test;
using elms::Result;
using elms::Status;

namespace {

/// Runs `run` again and again, with one more allocation before the one that fails. It must end with kOutOfMemory, or
/// well where what failed was not needed; it is right where it ends well, which is up to `run`. After the last failure
/// it must have the memory that it had before.
void fail_each_allocation(const std::string& name, const std::function<Status()>& run) {
  for (int warm_up = 0; warm_up < 2; ++warm_up) REQUIRE_OK(run());  // what is made once a process, or once an object
  long n_refused = 0, n_unneeded = 0;
  for (long n = 0;; ++n) {
    const long live = live_allocations();
    bool happened = false;
    elms::StatusCode code{};
    char message[128] = "";
    {
      FailingAllocation failing(n);
      const Status status = run();
      failing.disarm();
      happened = failing.happened();
      code = status.code();
      std::snprintf(message, sizeof message, "%s", status.message().c_str());
    }
    const long leaked = live_allocations() - live;
    INFO(name << ", allocation " << n << ": " << message);
    REQUIRE(leaked == 0);
    if (code != elms::StatusCode::kOk) REQUIRE(code == elms::StatusCode::kOutOfMemory);
    if (!happened) {
      REQUIRE(code == elms::StatusCode::kOk);
      std::printf("SHOWN: %s: each of %ld allocations failed once, %ld were not needed\n", name.c_str(), n, n_unneeded);
      REQUIRE(n_refused > 0);
      return;
    }
    ++(code == elms::StatusCode::kOk ? n_unneeded : n_refused);
  }
}

Status require_equal(const std::vector<elms::TokenId>& actual, const std::vector<elms::TokenId>& expected) {
  return actual == expected ? Status() : Status(elms::StatusCode::kInternal, "other tokens");
}

/// Levels, each with an adapter, and a vocabulary of bytes.
std::string elastic_path() {
  elms::offline::SynthShape shape = small_shape();
  shape.n_layers = 1;
  shape.lora_rank = 4;
  static const std::string path = write_model(shape, elms::DType::kQ8_0, "failing.gguf");
  return path;
}

const std::vector<elms::TokenId> kPrompt = {1, 70, 3, 200, 5, 17, 90};
const std::string kText = "A long list of functions.\nweather: tells the forecast\nalarm: sets an alarm\nWhich one?";

elms::GenerateOptions generate_options() {
  elms::GenerateOptions options;
  options.max_tokens = 6;
  options.stop = {"a stop string that is long enough to need memory"};
  return options;
}

/// Opens, computes a prompt at the narrowest level and decodes at full width.
Result<std::vector<elms::TokenId>> open_and_decode(const std::string& path, const elms::OpenOptions& open) {
  ELMS_ASSIGN_OR_RETURN(const auto model, elms::ElasticModel::open(path, open));
  ELMS_ASSIGN_OR_RETURN(elms::Session session, elms::Session::create(model));
  ELMS_RETURN_IF_ERROR(session.set_level(0));
  ELMS_RETURN_IF_ERROR(session.prefill(kPrompt));
  session.set_width(1.0);
  std::vector<elms::TokenId> tokens;
  tokens.reserve(4);  // ours, not the library's; it is in vain where this one fails
  for (int i = 0; i < 4; ++i) {
    ELMS_ASSIGN_OR_RETURN(const elms::TokenId token, session.decode());
    tokens.push_back(token);
  }
  return tokens;
}

void check_open(const std::string& name, const std::string& path, elms::OpenOptions open) {
  const auto expected = open_and_decode(path, open);
  REQUIRE_OK(expected);
  fail_each_allocation(name, [&] {
    return elms::detail::or_out_of_memory([&]() -> Status {
      ELMS_ASSIGN_OR_RETURN(const auto tokens, open_and_decode(path, open));
      return require_equal(tokens, *expected);
    });
  });
}

}  // namespace

TEST_CASE("failing allocations: open, prefill, decode", "[allocation]") {
  elms::OpenOptions open;
  open.pool = make_pool(1);
  check_open("open, prefill and decode", elastic_path(), open);
  open.pool = nullptr;
  check_open("the same with a pool of its own", elastic_path(), open);
}

TEST_CASE("failing allocations: a pack cache", "[allocation]") {
  const std::string cache = scratch_path("failing.pack");
  elms::PackOptions pack;
  pack.pool = make_pool(1);
  const std::string path = elastic_path();
  fail_each_allocation("pack", [&] { return elms::pack_model(path, cache, pack).error(); });
  elms::OpenOptions open;
  open.pool = make_pool(1);
  open.pack_cache = cache;
  check_open("open a pack cache, prefill and decode", elastic_path(), open);
}

TEST_CASE("failing allocations: generate, on a session that lives on", "[allocation]") {
  const auto model = open_model(elastic_path());
  const auto tokenizer = model->tokenizer();
  REQUIRE_OK(tokenizer);
  auto session = elms::Session::create(model);
  REQUIRE_OK(session);
  const std::vector<elms::TokenId> prompt = (*tokenizer)->encode(kText);
  const elms::GenerateOptions options = generate_options();
  const auto expected = elms::generate(*session, **tokenizer, prompt, options);
  REQUIRE_OK(expected);
  fail_each_allocation("generate", [&]() -> Status {
    session->reset();
    ELMS_ASSIGN_OR_RETURN(const auto generated, elms::generate(*session, **tokenizer, prompt, options));
    return require_equal(generated.tokens, expected->tokens);
  });
}

TEST_CASE("failing allocations: a tokenizer", "[allocation]") {
  const auto file = elms::detail::GgufFile::open(elastic_path());
  REQUIRE_OK(file);
  fail_each_allocation("a tokenizer from GGUF", [&] { return elms::Tokenizer::from_gguf(*file).error(); });
}

TEST_CASE("failing allocations: open a refiner, refine and decide", "[allocation]") {
  const std::string path = RefinerFileWriter::write("failing_refiner.gguf");
  const auto model = open_model(elastic_path());
  const auto target = model->tokenizer();
  REQUIRE_OK(target);
  const std::vector<elms::Segment> prompt = {elms::Segment::compress(kText), elms::Segment::protect("Answer:")};
  const elms::PromptRefinerOptions options{.pool = model->pool()};
  const auto budget = elms::RefineBudget::keep(0.6);
  const auto refiner = elms::PromptRefiner::open(path, options);
  REQUIRE_OK(refiner);
  const auto expected = (*refiner)->refine(prompt, **target, budget);
  REQUIRE_OK(expected);
  REQUIRE(expected->text.size() < kText.size());
  const auto refine = [&](const elms::PromptRefiner& by) -> Status {
    ELMS_ASSIGN_OR_RETURN(const auto refined, by.refine(prompt, **target, budget));
    return refined.text == expected->text ? Status() : Status(elms::StatusCode::kInternal, "another text");
  };
  fail_each_allocation("open a refiner and refine", [&]() -> Status {
    ELMS_ASSIGN_OR_RETURN(const auto opened, elms::PromptRefiner::open(path, options));
    return refine(*opened);
  });
  fail_each_allocation("refine", [&] { return refine(**refiner); });
  fail_each_allocation("decide", [&] { return (*refiner)->decide(prompt).error(); });
  fail_each_allocation("analyse", [&] { return (*refiner)->analyse(prompt).error(); });
}

TEST_CASE("failing allocations: chat templates and profiles", "[allocation]") {
  const std::string source =
      "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' }}"
      "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";
  const std::vector<elms::ChatMessage> messages = {{"user", {elms::Segment::protect(kText)}}};
  fail_each_allocation("a chat template", [&]() -> Status {
    return elms::detail::or_out_of_memory([&]() -> Status {
      ELMS_ASSIGN_OR_RETURN(const auto chat, elms::ChatTemplate::create(source, "<s>", "</s>"));
      ELMS_ASSIGN_OR_RETURN(const auto segments, chat->segments(messages));
      ELMS_ASSIGN_OR_RETURN(const auto text, chat->render(messages));
      return {};
    });
  });
  elms::DeviceProfile profile;
  profile.key.threads = 1;
  const std::string path = scratch_path("failing_profile.json");
  REQUIRE_OK(profile.save(path));
  fail_each_allocation("save a profile", [&] { return profile.save(path); });
  fail_each_allocation("load a profile", [&] { return elms::DeviceProfile::load(path).error(); });
}

TEST_CASE("failing allocations: a Hugging Face directory", "[allocation]") {
  auto rng = make_rng(11);
  TinyShape shape;
  shape.d = 32;
  shape.ff = 32;
  shape.heads = 2;
  shape.kv_heads = 1;
  shape.head_dim = 16;
  shape.vocab = 8;
  const std::string path = write_hf("failing_hf", shape, tiny_tensors(shape, rng));
  write_text(path + "/tokenizer.json", R"({"version":"1.0","added_tokens":[{"id":0,"content":"<s>","special":true}],)"
             R"("pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false},"decoder":{"type":"ByteLevel"},)"
             R"("model":{"type":"BPE","vocab":{"<s>":0,"a":1,"b":2,"c":3,"ab":4,"d":5,"e":6,"f":7},"merges":["a b"]}})");
  fail_each_allocation("open a Hugging Face directory and its tokenizer", [&]() -> Status {
    ELMS_ASSIGN_OR_RETURN(const auto model, elms::ElasticModel::open(path));
    return elms::detail::to_status(model->tokenizer());
  });
}

TEST_CASE("failing allocations: a service with a refiner", "[allocation]") {
  const auto model = open_model(elastic_path());
  const auto refiner = elms::PromptRefiner::open(RefinerFileWriter::write("failing_refiner.gguf"), {.pool = model->pool()});
  REQUIRE_OK(refiner);
  elms::PlannerOptions planner;
  planner.probe = false;
  planner.learn = false;
  elms::ServiceOptions options;
  options.model = model;
  options.refiner = *refiner;
  options.now_ms = [] { return 1.0; };
  options.reuse = elms::CacheReuse::kOff;
  const auto create = [&]() -> Result<std::shared_ptr<elms::ElasticService>> {
    elms::ServiceOptions given = options;
    ELMS_ASSIGN_OR_RETURN(given.planner, elms::SLOPlanner::create(model, planner));
    return elms::ElasticService::create(std::move(given));
  };
  fail_each_allocation("create a planner and a service",
                       [&] { return elms::detail::or_out_of_memory([&] { return elms::detail::to_status(create()); }); });

  const auto service = create();
  REQUIRE_OK(service);
  elms::ServiceRequest request;
  request.prompt = {elms::Segment::compress(kText), elms::Segment::protect("Answer:")};
  request.keep_ratio = 0.6;
  request.max_tokens = 4;
  const auto expected = (*service)->generate(request);
  REQUIRE_OK(expected);
  REQUIRE(expected->n_prompt_tokens < expected->n_original_tokens);
  for (const bool forced : {true, false}) {
    if (!forced) {
      request.keep_ratio.reset();
      request.slo = {1e6, 1e6};
    }
    fail_each_allocation(forced ? "a request with a keep ratio" : "a request with targets", [&]() -> Status {
      ELMS_ASSIGN_OR_RETURN(const auto answer, (*service)->generate(request));
      if (answer.finish == elms::FinishReason::kError) return answer.status;
      return forced ? require_equal(answer.tokens, expected->tokens) : Status();
    });
  }
  CHECK((*service)->status().n_running == 0);
  CHECK((*service)->status().n_queued == 0);
}

TEST_CASE("failing allocations: through the C API", "[allocation]") {
  const std::string path = elastic_path(), refiner_path = RefinerFileWriter::write("failing_refiner.gguf");
  const auto run = [&]() -> Status {
    elms_error error{};
    elms_model* model = nullptr;
    elms_session* session = nullptr;
    elms_answer* answer = nullptr;
    elms_refiner* refiner = nullptr;
    elms_refined* refined = nullptr;
    elms_planner* planner = nullptr;
    elms_service* service = nullptr;
    elms_answer* served = nullptr;
    auto open = sized<elms_open_options>();
    open.n_threads = 1;
    auto generate = sized<elms_generate_options>();
    generate.max_tokens = 3;
    const elms_segment prompt = segment_in_c(kText, ELMS_ROLE_CONTEXT, true);
    auto refine = sized<elms_refine_options>();
    refine.keep_ratio = 0.6;
    auto plan_options = sized<elms_planner_options>();
    plan_options.without_probe = 1;
    auto asked = sized<elms_plan_request>();
    asked.n_compressible_tokens = 40;
    auto plan = sized<elms_plan>();
    auto serve = sized<elms_service_options>();
    auto request = sized<elms_request>();
    request.prompt = &prompt;
    request.n_prompt = 1;
    request.max_tokens = 3;
    std::int32_t tokens[8];
    std::size_t n_tokens = 0;
    const auto fine = [&](elms_code code) { return code == ELMS_OK; };
    const bool all =
        fine(elms_model_open(path.c_str(), &open, &model, &error)) &&
        fine(elms_tokenize(model, "some text", 9, nullptr, tokens, 0, &n_tokens, &error)) &&
        fine(elms_session_create(model, nullptr, &session, &error)) &&
        fine(elms_generate(session, kText.data(), kText.size(), &generate, &answer, &error)) &&
        fine(elms_refiner_open(refiner_path.c_str(), nullptr, &refiner, &error)) &&
        fine(elms_refiner_refine(refiner, model, &prompt, 1, &refine, nullptr, &refined, &error)) &&
        fine(elms_planner_create(model, &plan_options, &planner, &error)) &&
        fine(elms_planner_plan(planner, &asked, &plan, &error)) &&
        (serve.planner = planner, fine(elms_service_create(model, &serve, &service, &error))) &&
        fine(elms_service_generate(service, &request, &served, &error));
    elms_answer_free(served);
    elms_service_free(service);
    elms_planner_free(planner);
    elms_refined_free(refined);
    elms_refiner_close(refiner);
    elms_answer_free(answer);
    elms_session_free(session);
    elms_model_close(model);
    return all ? Status() : Status(static_cast<elms::StatusCode>(error.code), "in C");
  };
  fail_each_allocation("all of the C API", run);
}
