// The service with the models that ship: when the refiner reads a prompt, and what is cut.
#include "elms/prompt_refiner.hpp"
#include "service_fixture.hpp"

using namespace elms_test;

namespace {

std::string shipped(const std::string& file) {
  return std::string(ELMS_TEST_DATA_DIR) + "/../../examples/models/" + file;
}

struct Shipped {
  std::shared_ptr<const elms::ElasticModel> model = open_model(shipped("elms-mini.gguf"));
  std::shared_ptr<const elms::PromptRefiner> refiner;

  Shipped() {
    auto opened = elms::PromptRefiner::open(shipped("elms-refiner.gguf"), {.pool = model->pool()});
    REQUIRE_OK(opened);
    refiner = *opened;
    REQUIRE(refiner->can_decide());
  }

  /// Guessed laws, so that plans do not hang on the machine: the refiner takes 3 ms and 0.1 ms a word.
  std::shared_ptr<elms::ElasticService> service(std::vector<double> keep_ratios, bool decide,
                                                bool cut_by_question = true,
                                                std::function<double()> now_ms = {}) const {
    elms::PlannerOptions planner;
    planner.probe = false;
    planner.keep_ratios = std::move(keep_ratios);
    elms::ServiceOptions options;
    options.model = model;
    options.refiner = refiner;
    auto made = elms::SLOPlanner::create(model, planner);
    REQUIRE_OK(made);
    options.planner = *made;
    options.decide = decide;
    options.cut_by_question = cut_by_question;
    options.learn = false;
    options.now_ms = std::move(now_ms);
    return make_service(std::move(options));
  }
};

elms::ServiceRequest cut_request(double ttft_ms) {
  elms::ServiceRequest request;
  std::string list;
  for (int i = 0; i < 20; ++i) list += "get_weather: tell the forecast for a place\n";
  request.prompt = {elms::Segment::compress(list),
                    elms::Segment::protect("Request: will it rain\nFunction:")};
  request.slo.ttft_ms = ttft_ms;
  request.max_tokens = 2;
  return request;
}

/// One line of many is about the question.
elms::ServiceRequest question_request() {
  elms::ServiceRequest request;
  std::string list = "Choose a function.\n";
  for (const char* name : {"alarm", "music", "lights", "radio", "notes", "timer", "stocks", "recipe"})
    list += std::string(name) + "_set: change what is set for " + name + "\n";
  list += "get_weather: tell if it will rain or snow\n";
  request.prompt = {elms::Segment::compress(list),
                    elms::Segment::protect("Request: will it snow\nFunction:", elms::SegmentRole::kQuestion)};
  request.max_tokens = 2;
  return request;
}

}  // namespace

TEST_CASE("service: the decision head is asked where its pass is short or the prompt is cut anyway",
          "[service][refine]") {
  const Shipped models;
  const auto refine_ms = [&](std::vector<double> keep_ratios, bool decide, double ttft_ms) {
    const auto answer = models.service(std::move(keep_ratios), decide)->generate(cut_request(ttft_ms));
    REQUIRE_OK(answer);
    return answer->times.refine_ms;
  };
  CHECK(refine_ms({1.0}, true, 1e6) > 0.0);     // a pass of some 20 ms is nothing
  CHECK(refine_ms({1.0}, true, 100.0) == 0.0);  // but too much here, where nothing may be cut
  CHECK(refine_ms({1.0}, false, 1e6) == 0.0);   // it is not wanted
  CHECK(refine_ms({0.2}, true, 30.0) > 0.0);    // the prompt has to be cut: scores come out of the same pass
}

TEST_CASE("service: a cut prompt is what was run, and its question is whole", "[service][refine]") {
  const Shipped models;
  elms::ServiceRequest request = cut_request(1e6);
  request.keep_ratio = 0.3;
  const auto answer = models.service({}, false)->generate(request);
  REQUIRE_OK(answer);
  CHECK(answer->plan.keep_ratio == Approx(0.3));
  CHECK(answer->n_prompt_tokens < answer->n_original_tokens / 2);
  CHECK(answer->refined_prompt.ends_with("Request: will it rain\nFunction:"));
  const auto tokens = (*models.model->tokenizer())->encode(answer->refined_prompt);
  CHECK(answer->n_prompt_tokens == static_cast<std::int32_t>(tokens.size()));
}

TEST_CASE("service: a prompt with a question is cut by that, without the encoder", "[service][refine]") {
  const Shipped models;
  const TestClock stopped;  // times of a plan begin with what has passed
  elms::ServiceRequest request = question_request();
  request.keep_ratio = 0.3;
  const auto answer = models.service({}, false, true, stopped.reader())->generate(request);
  REQUIRE_OK(answer);
  CHECK(answer->plan.n_refine_words == 0);
  CHECK(answer->n_prompt_tokens < answer->n_original_tokens / 2);
  CHECK(answer->refined_prompt.find("get_weather: tell if it will rain or snow\n") != std::string::npos);
  // Of the refiner's scores only the words of one line could differ.
  const auto read = models.service({}, false, false, stopped.reader())->generate(request);
  REQUIRE_OK(read);
  CHECK(read->plan.n_refine_words > 0);
  CHECK(read->refined_prompt.find("get_weather: tell if it will rain or snow\n") != std::string::npos);

  // The encoder takes 3 ms at least.
  CHECK(answer->plan.ttft_ms + 3.0 <= read->plan.ttft_ms);

  // The encoder is asked where a segment's own rate drops words first, and where nothing is in common.
  request.prompt[0].keep_ratio = 0.5;
  const auto own = models.service({}, false)->generate(request);
  REQUIRE_OK(own);
  CHECK(own->plan.n_refine_words > 0);
  request.prompt[0].keep_ratio.reset();
  request.prompt[1].text = "Zzyzx?";
  const auto nothing = models.service({}, false)->generate(request);
  REQUIRE_OK(nothing);
  CHECK(nothing->plan.n_refine_words > 0);
}

TEST_CASE("service: without a refiner a prompt is cut where its question says how", "[service][refine]") {
  const Shipped models;
  elms::ServiceOptions options;
  options.model = models.model;
  elms::PlannerOptions planner;
  planner.probe = false;
  auto made = elms::SLOPlanner::create(models.model, planner);
  REQUIRE_OK(made);
  options.planner = *made;

  elms::ServiceRequest request = question_request();
  request.keep_ratio = 0.3;
  const auto cut = make_service(options)->generate(request);
  REQUIRE_OK(cut);
  CHECK(cut->plan.keep_ratio == Approx(0.3));
  CHECK(cut->n_prompt_tokens < cut->n_original_tokens / 2);
  CHECK(cut->refined_prompt.find("get_weather: tell if it will rain or snow\n") != std::string::npos);

  options.cut_by_question = false;
  const auto unasked = make_service(options)->generate(request);
  REQUIRE_OK(unasked);
  CHECK(unasked->n_prompt_tokens == unasked->n_original_tokens);
  options.cut_by_question = true;
  request.prompt[1].text = "Zzyzx?";  // nothing in common
  const auto whole = make_service(options)->generate(request);
  REQUIRE_OK(whole);
  CHECK(whole->plan.keep_ratio == 1.0);
  CHECK(whole->n_prompt_tokens == whole->n_original_tokens);
}

TEST_CASE("service: a plan knows what guards keep of a prompt", "[service][refine]") {
  const Shipped models;
  std::string json = "{";
  for (int i = 0; i < 30; ++i) json += (i > 0 ? ", \"key" : "\"key") + std::to_string(i) + "\": true";
  json += "}";
  elms::ServiceRequest request = cut_request(1e6);
  request.prompt[0].text += json + "\n";
  for (const double keep_ratio : {0.2, 0.5, 0.8}) {
    request.keep_ratio = keep_ratio;
    const auto answer = models.service({}, false)->generate(request);
    REQUIRE_OK(answer);
    CAPTURE(keep_ratio, answer->n_original_tokens);
    CHECK(answer->refined_prompt.find(json) != std::string::npos);
    // The plan may be used up to one word of a few tokens, and gaps beside guarded text take one or two more.
    const std::int32_t planned = answer->plan.n_prefill_tokens + answer->plan.n_reused_tokens;
    CHECK(answer->n_prompt_tokens <= planned + 2);
    CHECK(answer->n_prompt_tokens >= planned - 6);
  }
}
