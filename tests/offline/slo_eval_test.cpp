// Traces of requests with targets: what is counted, and who is right.
#include "elms/offline/slo_eval.hpp"

#include <algorithm>
#include <filesystem>

#include "elms/generate.hpp"
#include "elms/offline/quality_table.hpp"
#include "elms/session.hpp"
#include "elms/slo_planner.hpp"
#include "offline/slo/layer_dropping.hpp"
#include "offline/slo/trace.hpp"
#include "test_model.hpp"

using namespace elms_test;
namespace offline = elms::offline;
using offline::SloStrategy;
using offline::TaskItem;

namespace {

constexpr std::int32_t kAnswerTokens = 6;

/// Prompts whose right choice is what the full model answers.
std::vector<TaskItem> items_the_full_model_knows(const std::shared_ptr<const elms::ElasticModel>& model,
                                                 std::size_t n) {
  auto rng = make_rng(92);
  const auto tokenizer = model->tokenizer();
  REQUIRE_OK(tokenizer);
  auto session = elms::Session::create(model);
  REQUIRE_OK(session);
  std::vector<TaskItem> items;
  for (int attempt = 0; attempt < 200 && items.size() < n; ++attempt) {
    TaskItem item;
    for (int i = 0; i < 24; ++i) item.prompt += i % 5 == 4 ? ' ' : static_cast<char>('a' + rng() % 6);
    item.prompt += "\nwhich?\n";
    session->reset();
    const auto answer = elms::generate(*session, **tokenizer, (*tokenizer)->encode(item.prompt),
                                       {.max_tokens = kAnswerTokens, .stop = {"\n"}});
    REQUIRE_OK(answer);
    const std::string line = offline::first_line(answer->text);
    if (line.empty()) continue;
    item.choices = {"no", line};
    item.answer = 1;
    items.push_back(std::move(item));
  }
  REQUIRE(items.size() == n);
  return items;
}

offline::SloEvalOptions small_options(const std::shared_ptr<const elms::ElasticModel>& model) {
  offline::SloEvalOptions options;
  options.model = model;
  options.calibration_seconds = 0.2;
  options.n_requests = 24;
  options.n_pieces = 3;
  options.max_answer_tokens = kAnswerTokens;
  options.scratch_dir = std::filesystem::path(scratch_path("slo")).parent_path().string();
  return options;
}

const offline::SloStrategyResult& result_of(const offline::SloEvalResult& result, const std::string& name) {
  for (const offline::SloStrategyResult& s : result.strategies) {
    if (s.name == name) return s;
  }
  FAIL("no strategy " << name);
  return result.strategies.front();
}

std::shared_ptr<elms::SLOPlanner> unprobed_planner(const std::shared_ptr<const elms::ElasticModel>& model) {
  elms::PlannerOptions options;
  options.probe = false;
  auto planner = elms::SLOPlanner::create(model, options);
  REQUIRE_OK(planner);
  return *planner;
}

}  // namespace

TEST_CASE("first_line is what an answer says first", "[offline][slo]") {
  CHECK(offline::first_line(" set_alarm \nmore") == "set_alarm");
  CHECK(offline::first_line("\n\n two words\r\n") == "two words");
  CHECK(offline::first_line(" \n ").empty());
  CHECK(offline::first_line("").empty());
}

TEST_CASE("every strategy answers a whole trace, and the full model what it knows", "[offline][slo]") {
  const auto model = open_model(write_model(small_shape(), elms::DType::kF32, "slo.gguf"));
  const std::vector<offline::TaskFile> tasks = {{"a", items_the_full_model_knows(model, 5)},
                                                {"b", items_the_full_model_knows(model, 3)}};
  const bool cpu_time = GENERATE(true, false);
  offline::SloEvalOptions options = small_options(model);
  options.cpu_time = cpu_time;
  options.strategies.push_back(SloStrategy::kElmsOffline);
  std::vector<std::string> phases;
  options.progress = [&](const offline::Progress& progress) {
    if (phases.empty() || phases.back() != progress.phase) phases.emplace_back(progress.phase);
    return elms::Flow::kContinue;
  };
  const auto result = offline::evaluate_slo(tasks, options);
  REQUIRE_OK(result);
  CHECK(result->classes.size() == 6);
  CHECK(result->strategies.size() == 9 + model->levels().size() - 1);  // static is one for each narrow level
  CHECK(result->mean_full.ttft_ms > 0.0);
  CHECK(phases.back() == "replay");
  for (const offline::SloStrategyResult& s : result->strategies) {
    INFO(s.name);
    std::int64_t n = 0;
    double right = 0.0;
    for (const offline::SloScore& score : s.per_class) {
      n += score.n;
      right += score.accuracy * static_cast<double>(score.n);
      CHECK(score.attained <= std::min(score.ttft_attained, score.tpot_attained));
      CHECK(score.accuracy_in_time <= score.accuracy);
    }
    CHECK(n == options.n_requests);
    CHECK(s.total.n == n);
    CHECK(s.total.accuracy * static_cast<double>(n) == Approx(right).margin(1e-6));
    CHECK(s.total.ttft_over_target.p50 > 0.0);
    CHECK(s.total.ttft_over_target.p50 <= s.total.ttft_over_target.p99);
    CHECK(s.memory_bytes > 0);
    CHECK(s.total.mean_keep_ratio == Approx(1.0));  // there is no refiner
  }
  CHECK(result_of(*result, "full").total.accuracy == 1.0);
  CHECK(result_of(*result, "full").total.mean_width == Approx(1.0));
  CHECK(result_of(*result, "prompt-only").total.mean_width == Approx(1.0));
  CHECK(result->answerable == 1.0);
  CHECK(result_of(*result, "layer-dropping").memory_bytes > result_of(*result, "elms").memory_bytes);
  CHECK(result_of(*result, "layer-dropping").total.mean_width <= 1.0);
}

TEST_CASE("a trace is the same for the same seed, and skew moves its classes", "[offline][slo]") {
  const auto model = open_model(write_model(small_shape(), elms::DType::kF32, "slo.gguf"));
  const std::vector<offline::TaskFile> tasks = {{"a", items_the_full_model_knows(model, 4)}};
  offline::SloEvalOptions options = small_options(model);
  options.n_requests = 300;
  const auto planner = unprobed_planner(model);
  const auto tokenizer = model->tokenizer();
  const auto trace_of = [&] {
    auto trace = offline::make_trace(tasks, options, *planner, **tokenizer);
    REQUIRE_OK(trace);
    return std::move(*trace);
  };
  const auto n_tight = [](const offline::Trace& trace) {
    return std::count_if(trace.requests.begin(), trace.requests.end(),
                         [](const offline::TraceRequest& r) { return r.slo_class >= 3; });
  };
  const offline::Trace even = trace_of(), again = trace_of();
  for (std::size_t i = 0; i < even.requests.size(); ++i) {
    REQUIRE(even.requests[i].slo_class == again.requests[i].slo_class);
    REQUIRE(even.requests[i].arrival_ms == again.requests[i].arrival_ms);
    REQUIRE(even.requests[i].answer == again.requests[i].answer);
    if (i > 0) REQUIRE(even.requests[i].arrival_ms >= even.requests[i - 1].arrival_ms);
  }
  CHECK(n_tight(even) == Approx(150).margin(40));
  // A Poisson process at a quarter of what the full model serves.
  const offline::TraceRequest& one = even.requests.front();
  const double service_ms = even.mean_full.ttft_ms + even.mean_full.tpot_ms * (one.plan.n_output_tokens - 1);
  CHECK(even.requests.back().arrival_ms / 299.0 == Approx(service_ms / 0.25).epsilon(0.35));
  options.skew = 2.0;
  CHECK(n_tight(trace_of()) > 220);
  options.skew = -2.0;
  CHECK(n_tight(trace_of()) < 80);
  options.trace_seed = 2;
  CHECK(trace_of().requests.back().arrival_ms != even.requests.back().arrival_ms);
}

TEST_CASE("evaluate_slo says what is wrong with its options", "[offline][slo]") {
  const auto model = open_model(write_model(small_shape(), elms::DType::kF32, "slo.gguf"));
  const std::vector<offline::TaskFile> tasks = {{"a", items_the_full_model_knows(model, 1)}};
  const auto code_of = [&](auto change) {
    offline::SloEvalOptions options = small_options(model);
    change(options);
    return offline::evaluate_slo(tasks, options).error().code();
  };
  using Options = offline::SloEvalOptions;
  using elms::StatusCode;
  CHECK(code_of([](Options& o) { o.model = nullptr; }) == StatusCode::kInvalidArgument);
  CHECK(code_of([](Options& o) { o.strategies.clear(); }) == StatusCode::kInvalidArgument);
  CHECK(code_of([](Options& o) { o.classes = {{"none", {0.0, 1.0}}}; }) == StatusCode::kInvalidArgument);
  CHECK(code_of([](Options& o) { o.n_requests = 0; }) == StatusCode::kInvalidArgument);
  CHECK(code_of([](Options& o) { o.load = 0.0; }) == StatusCode::kInvalidArgument);
  CHECK(code_of([](Options& o) { o.keep_ratios = {1.5}; }) == StatusCode::kInvalidArgument);
  CHECK(code_of([](Options& o) { o.cpu_time = o.noise = true; }) == StatusCode::kInvalidArgument);
  CHECK(code_of([](Options& o) { o.max_answer_tokens = 1000; }) == StatusCode::kOutOfContext);
  CHECK(code_of([](Options& o) {
          o.progress = [](const offline::Progress&) { return elms::Flow::kStop; };
        }) == StatusCode::kCancelled);
  const std::vector<offline::TaskFile> empty = {{"nothing", {}}};
  CHECK(offline::evaluate_slo(empty, small_options(model)).error().code() == StatusCode::kInvalidArgument);
}

TEST_CASE("a model of all layers is the model, and of some layers a smaller one", "[offline][slo]") {
  const std::string path = write_model(small_shape(), elms::DType::kQ8_0, "slo_q8.gguf");
  const auto pool = make_pool(1);
  const std::string all = scratch_path("all_layers.gguf"), two = scratch_path("two_layers.gguf");
  REQUIRE_OK(offline::write_kept_layers(path, std::vector<std::int32_t>{0, 1, 2}, all, *pool));
  REQUIRE_OK(offline::write_kept_layers(path, std::vector<std::int32_t>{0, 2}, two, *pool));
  const auto logits_of = [](const std::string& file) {
    auto session = elms::Session::create(open_model(file));
    REQUIRE_OK(session);
    REQUIRE_OK(session->prefill(std::vector<elms::TokenId>{5, 17, 99, 3}));
    return std::vector<float>(session->logits().begin(), session->logits().end());
  };
  CHECK(logits_of(all) == logits_of(path));
  CHECK(logits_of(two) != logits_of(path));
  CHECK(open_model(two)->config().layers.size() == 2);
  CHECK_FALSE(open_model(two)->is_elastic());
  const auto order = offline::layer_removal_order(path, "ab cd ef ab cd ef ab", *pool);
  REQUIRE_OK(order);
  CHECK(order->size() == 2);
}

TEST_CASE("the quality table is what the model answers, and the planner reads it", "[offline][slo]") {
  const std::string path = write_model(small_shape(), elms::DType::kF32, "quality.gguf");
  offline::QualityTableOptions options;
  options.model = open_model(path);
  options.max_answer_tokens = kAnswerTokens;
  std::vector<TaskItem> items = items_the_full_model_knows(options.model, 6);
  for (std::size_t i = 0; i < 3; ++i) items[i].choices[1] = "never said";  // half of them it cannot know
  const std::vector<offline::TaskFile> files = {{"half", std::move(items)}};
  const auto measured = offline::measure_quality(files, options);
  REQUIRE_OK(measured);
  CHECK(measured->n_items == 6);
  REQUIRE(measured->qualities.valid());
  CHECK(measured->qualities.widths.size() == options.model->levels().size());
  CHECK(measured->qualities.quality.back() == Approx(0.5));
  const std::string with_table = scratch_path("with_quality.gguf");
  REQUIRE_OK(offline::write_quality_table(path, measured->qualities, "a test", with_table));
  const auto planner = unprobed_planner(open_model(with_table));
  const int full = static_cast<int>(options.model->levels().size()) - 1;
  CHECK(planner->expected_quality(full, 1.0) == Approx(0.5));
  CHECK(planner->expected_quality(full, 0.2) < 0.5);
  CHECK(offline::measure_quality({}, options).error().code() == elms::StatusCode::kInvalidArgument);
}
