// Plans against a reference that knows only predicted times and qualities, and tries everything.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <limits>
#include <random>
#include <vector>

#include "synthetic_profile.hpp"

using namespace elms_test;
using elms::Plan;
using elms::PlanRequest;
using elms::Verdict;

namespace {

/// What the reference found: the best quality within the targets, or else the least overshoot, and the least
/// of 1 + overshoot over quality.
struct Reference {
  bool feasible = false;
  double quality = -1.0;
  double total_ms = std::numeric_limits<double>::infinity();
  double overshoot = std::numeric_limits<double>::infinity();
  double lateness_per_quality = std::numeric_limits<double>::infinity();
};

/// Goes through all strategies with the planner's public predictions only.
Reference exhaustive(const elms::SLOPlanner& planner, const PlanRequest& r) {
  Reference best;
  for (int level = 0; level < static_cast<int>(planner.model().levels().size()); ++level) {
    for (int tenth = 1; tenth <= 10; ++tenth) {
      for (const bool reuse : {false, true}) {
        const double keep = tenth / 10.0;
        if (reuse && r.n_cached_compressible_tokens == 0) continue;  // the same as without
        if (tenth < 10 && r.n_compressible_tokens == 0) continue;
        if (reuse && tenth < 10 && r.n_cached_compressible_tokens >= r.n_compressible_tokens) continue;
        const int untouched = reuse ? r.n_cached_compressible_tokens : 0;
        const int kept = tenth == 10 ? r.n_compressible_tokens
                                     : untouched + static_cast<int>(std::ceil(
                                                       keep * (r.n_compressible_tokens - untouched) - 1e-9));
        const bool cut = kept < r.n_compressible_tokens;
        const int prompt = r.n_protected_tokens + kept;
        const int cached = std::min(prompt - 1, cut && !reuse ? r.n_cached_head_tokens : r.n_cached_tokens);
        const int words =
            cut ? static_cast<int>(
                      std::ceil(r.n_refine_words * static_cast<double>(r.n_compressible_tokens - untouched) /
                                r.n_compressible_tokens))
                : 0;
        if (prompt + r.n_output_tokens > r.context_tokens) continue;
        const auto ttft = planner.predict_ttft(level, prompt - cached, cached, words, r.confidence);
        const auto tpot =
            planner.predict_tpot(level, prompt + r.n_output_tokens / 2, r.confidence, r.n_output_tokens - 1);
        const double over = std::max({0.0, (r.elapsed_ms + ttft.with_margin()) / r.slo.ttft_ms - 1.0,
                                      tpot.with_margin() / r.slo.tpot_ms - 1.0});
        const double share = reuse ? static_cast<double>(kept) / r.n_compressible_tokens : keep;
        const double quality = planner.expected_quality(level, share);
        const double total = r.elapsed_ms + ttft.ms + tpot.ms * (r.n_output_tokens - 1);
        best.overshoot = std::min(best.overshoot, over);
        best.lateness_per_quality =
            std::min(best.lateness_per_quality, (1.0 + over) / std::max(quality, 1e-3));
        if (over > 0.0) continue;
        if (quality > best.quality + 1e-6 || (quality > best.quality - 1e-6 && total < best.total_ms)) {
          best.quality = std::max(quality, best.quality);
          best.total_ms = total;
          best.feasible = true;
        }
      }
    }
  }
  return best;
}

PlanRequest random_request(std::mt19937& rng) {
  const auto below = [&](int n) { return static_cast<int>(rng() % static_cast<unsigned>(n)); };
  PlanRequest r;
  r.n_protected_tokens = 1 + below(100);
  r.n_compressible_tokens = below(4) == 0 ? 0 : below(800);
  r.n_output_tokens = 2 * (1 + below(60));  // even, so that its middle is a whole position
  r.n_refine_words = below(600);
  r.context_tokens = 2048;
  r.confidence = 0.8 + 0.01 * below(20);
  if (below(2) == 0 && r.n_compressible_tokens > 1) {
    r.n_cached_compressible_tokens = below(r.n_compressible_tokens);
    r.n_cached_head_tokens = below(r.n_protected_tokens);
    r.n_cached_tokens = r.n_cached_head_tokens + r.n_cached_compressible_tokens;
  }
  r.slo.ttft_ms = 5.0 * std::exp(below(1000) / 1000.0 * 4.0);
  r.slo.tpot_ms = 4.0 * std::exp(below(1000) / 1000.0 * 3.0);
  r.elapsed_ms = below(3) * 1.5;
  return r;
}

/// By how much the worse of both targets is missed.
double overshoot_of(const Plan& plan, const PlanRequest& request) {
  return std::max({0.0, (plan.ttft_ms + plan.ttft_margin_ms) / request.slo.ttft_ms - 1.0,
                   (plan.tpot_ms + plan.tpot_margin_ms) / request.slo.tpot_ms - 1.0});
}

PlanRequest usual_request() {
  PlanRequest r;
  r.n_protected_tokens = 40;
  r.n_compressible_tokens = 300;
  r.n_output_tokens = 32;
  return r;
}

}  // namespace

TEST_CASE("a plan is the best of all strategies, as trying them one by one finds", "[planner][plan]") {
  const auto model = planner_model();
  const auto planner = synthetic_planner(model);
  std::mt19937 rng = make_rng(74);
  int feasible = 0;
  for (int i = 0; i < 300; ++i) {
    const PlanRequest request = random_request(rng);
    const Reference expected = exhaustive(*planner, request);
    const Plan plan = planner->plan(request);
    INFO("request " << i << ": " << plan.reason);
    REQUIRE(plan.feasible == expected.feasible);
    if (expected.feasible) {
      ++feasible;
      CHECK(plan.expected_quality == Approx(expected.quality).margin(2e-6));
      CHECK(plan.ttft_ms + plan.tpot_ms * (request.n_output_tokens - 1) ==
            Approx(expected.total_ms).epsilon(1e-6));
      CHECK(plan.ttft_ms + plan.ttft_margin_ms <= request.slo.ttft_ms);
      CHECK(plan.tpot_ms + plan.tpot_margin_ms <= request.slo.tpot_ms);
      CHECK(plan.accepted);
    } else {
      CHECK_FALSE(plan.accepted);  // the policy is to reject
      CHECK(overshoot_of(plan, request) == Approx(expected.overshoot).epsilon(1e-6));
      PlanRequest urgent = request;
      urgent.policy = elms::InfeasiblePolicy::kBestEffort;
      const Plan run = planner->plan(urgent);
      CHECK(run.accepted);
      CHECK((1.0 + overshoot_of(run, request)) / std::max(run.expected_quality, 1e-3) ==
            Approx(expected.lateness_per_quality).epsilon(1e-6));
    }
  }
  CHECK(feasible > 50);
  CHECK(feasible < 280);
}

TEST_CASE("without targets the whole prompt runs at full width", "[planner][plan]") {
  const auto planner = synthetic_planner(planner_model());
  const Plan plan = planner->plan(usual_request());
  CHECK(plan.feasible);
  CHECK(plan.width == 1.0);
  CHECK(plan.keep_ratio == 1.0);
  CHECK(plan.n_prefill_tokens == 340);
  CHECK(plan.n_keep_tokens == 300);
  CHECK(plan.n_refine_words == 0);
  CHECK(plan.expected_quality == 1.0);
  CHECK(plan.verdict == Verdict::kChosen);
  CHECK(plan.reason.find("width 1") != std::string::npos);
  REQUIRE(plan.alternatives.size() == 4);
  for (std::size_t i = 1; i < plan.alternatives.size(); ++i) {
    CHECK(plan.alternatives[i].expected_quality <= plan.alternatives[i - 1].expected_quality);
  }
}

TEST_CASE("cutting takes its time, whoever says what stays, and requests teach how long", "[planner][plan]") {
  const auto model = planner_model();
  elms::PlannerOptions options;
  options.profile = synthetic_profile(*model);
  options.levels = {0};
  options.keep_ratios = {0.5};
  const auto plan_of = [&](const elms::SLOPlanner& planner, double ttft_ms) {
    PlanRequest request = usual_request();
    request.n_refine_words = 0;
    request.policy = elms::InfeasiblePolicy::kBestEffort;
    request.slo.ttft_ms = ttft_ms;
    return planner.plan(request);
  };
  const auto quick = elms::SLOPlanner::create(model, options);
  (*options.profile)[elms::Phase::kCut].coefficients = {1.0, 0.02};
  const auto slow = elms::SLOPlanner::create(model, options);
  REQUIRE_OK(quick);
  REQUIRE_OK(slow);
  const Plan whole = plan_of(**slow, 1e9), before = plan_of(**quick, 0.01), after = plan_of(**slow, 0.01);
  CHECK(whole.keep_ratio == 1.0);
  CHECK(whole.n_cut_words == 0);
  REQUIRE(before.keep_ratio == 0.5);
  REQUIRE(after.keep_ratio == 0.5);
  CHECK(after.n_cut_words == 225);  // of 300 tokens
  CHECK(after.ttft_ms == Approx(before.ttft_ms + 1.0 + 0.02 * 225));
  CHECK((*slow)->predict_cut(225).ms == Approx(1.0 + 0.02 * 225));

  elms::Observation seen;
  seen.n_cut_words = 225;
  seen.cut_ms = 11.0;  // twice as long
  for (int i = 0; i < 8; ++i) (*slow)->observe(seen);
  CHECK((*slow)->drift(elms::Phase::kCut) == Approx(2.0).epsilon(0.05));
  CHECK((*slow)->drift(elms::Phase::kPrefill) == 1.0);
  CHECK(plan_of(**slow, 0.01).ttft_ms == Approx(before.ttft_ms + 11.0).epsilon(0.05));
}

TEST_CASE("what nothing can serve is infeasible, and the policy decides", "[planner][plan]") {
  const auto planner = synthetic_planner(planner_model());
  PlanRequest request = usual_request();
  request.slo.tpot_ms = 0.01;
  const Plan rejected = planner->plan(request);
  CHECK_FALSE(rejected.feasible);
  CHECK_FALSE(rejected.accepted);
  CHECK(rejected.verdict == Verdict::kTpotMissed);
  CHECK(rejected.level == 0);  // narrower is faster, and the shortest prompt too
  CHECK(rejected.keep_ratio == Approx(0.1));
  CHECK(rejected.reason.find("infeasible") == 0);
  request.policy = elms::InfeasiblePolicy::kBestEffort;
  const Plan best_effort = planner->plan(request);
  CHECK_FALSE(best_effort.feasible);
  CHECK(best_effort.accepted);
  CHECK(best_effort.expected_quality >= rejected.expected_quality);

  PlanRequest too_long = usual_request();
  too_long.n_protected_tokens = 4000;
  too_long.policy = elms::InfeasiblePolicy::kBestEffort;
  const Plan outside = planner->plan(too_long);
  CHECK_FALSE(outside.accepted);  // no effort makes it fit
  CHECK(outside.verdict == Verdict::kOutOfContext);
}

TEST_CASE("more confidence never gives a better answer, and margins grow with it", "[planner][plan]") {
  const auto planner = synthetic_planner(planner_model());
  PlanRequest request = usual_request();
  const elms::Slo full = planner->full_latency(request);
  request.slo = {0.7 * full.ttft_ms, 0.8 * full.tpot_ms};
  double quality = 2.0, margin = -1.0;
  for (const double confidence : {0.5, 0.8, 0.9, 0.95, 0.99, 0.999}) {
    request.confidence = confidence;
    const Plan plan = planner->plan(request);
    const double now = plan.feasible ? plan.expected_quality : 0.0;
    CHECK(now <= quality);
    quality = now;
    const double margin_now = planner->predict_tpot(3, 100, confidence).margin_ms;
    CHECK(margin_now >= margin);
    margin = margin_now;
  }
}

TEST_CASE("shares of full latency: the full model meets 1, and targets do not move with the machine",
          "[planner][plan]") {
  const auto planner = synthetic_planner(planner_model());
  PlanRequest request = usual_request();
  request.shares = elms::SloShares{1.0, 1.0};
  CHECK(planner->plan(request).width == 1.0);
  request.shares = elms::SloShares{0.5, 0.9};
  const Plan plan = planner->plan(request);
  const elms::Slo full = planner->full_latency(request);
  CHECK(plan.slo.ttft_ms == Approx(0.5 * full.ttft_ms).epsilon(1e-6));
  const elms::SloShares back = planner->shares_of(plan.slo, request);
  CHECK(back.ttft == Approx(0.5).epsilon(1e-6));
  CHECK(back.tpot == Approx(0.9).epsilon(1e-6));
  for (int i = 0; i < 5; ++i) {
    elms::Observation slow;
    slow.n_prefill_tokens = 100;
    slow.prefill_ms = 100.0 * planner->predict_ttft(0, 100).ms;
    planner->observe(slow);
  }
  CHECK(planner->full_latency(request).ttft_ms == full.ttft_ms);
}

TEST_CASE("the decision head's grid is interpolated to the model's levels", "[planner][plan]") {
  const auto planner = synthetic_planner(planner_model());
  PlanRequest request = usual_request();
  // Whatever the width, half the prompt answers better than all of it.
  elms::StrategyQualities grid;
  grid.widths = {0.3f, 1.0f};
  grid.keep_ratios = {0.2f, 0.5f, 1.0f};
  grid.quality = {0.1f, 0.6f, 0.3f, 0.2f, 0.9f, 0.5f};
  REQUIRE(grid.valid());
  request.qualities = grid;
  const Plan plan = planner->plan(request);
  CHECK(plan.keep_ratio == Approx(0.5));
  CHECK(plan.width == 1.0);
  CHECK(plan.expected_quality == Approx(0.9));
  CHECK(elms::detail::interpolate(grid, 0.65, 0.5) == Approx(0.75));
  CHECK(elms::detail::interpolate(grid, 0.1, 0.2) == Approx(0.1));
  CHECK(elms::detail::interpolate(grid, 0.1, 0.1) == Approx(0.05));  // nothing is known of shorter prompts
  CHECK(elms::detail::interpolate(grid, 1.0, 0.75) == Approx(0.7));
  request.qualities->quality[0] = NAN;  // no grid: the default decides
  CHECK(planner->plan(request).keep_ratio == 1.0);
}

TEST_CASE("a plan may narrow while decoding down to what is worth half of it", "[planner][plan]") {
  const auto model = planner_model();
  const auto planner = synthetic_planner(model);
  PlanRequest request = usual_request();
  const int top = static_cast<int>(model->levels().size()) - 1;
  REQUIRE(top >= 2);
  elms::StrategyQualities grid;
  for (const elms::Level& level : model->levels()) {
    grid.widths.push_back(static_cast<float>(level.cost_share));
    grid.quality.push_back(level.cost_share == 1.0 ? 0.9f : 0.5f);
  }
  grid.keep_ratios = {1.0f};
  grid.quality[0] = 0.44f;  // less than half
  request.qualities = grid;
  const Plan plan = planner->plan(request);
  CHECK(plan.level == top);
  CHECK(plan.narrowest_level == 1);
  request.qualities->quality[0] = 0.46f;
  CHECK(planner->plan(request).narrowest_level == 0);
  request.qualities->quality[static_cast<std::size_t>(top) - 1] = 0.1f;
  CHECK(planner->plan(request).narrowest_level == top);  // no way down leads past it
  elms::PlannerOptions options;
  options.profile = synthetic_profile(*model);
  options.levels = {1, top};
  const auto some = elms::SLOPlanner::create(model, options);
  REQUIRE_OK(some);
  request.qualities = grid;
  CHECK((*some)->plan(request).narrowest_level == 1);
}

TEST_CASE("a plan that the caller chooses is predicted like the planner's own", "[planner][plan]") {
  const auto planner = synthetic_planner(planner_model());
  PlanRequest request = usual_request();
  request.slo = {5.0, 3.0};
  request.policy = elms::InfeasiblePolicy::kBestEffort;
  request.n_alternatives = 1000;
  const Plan best = planner->plan(request);
  std::vector<elms::Strategy> all = best.alternatives;
  all.push_back(best);
  for (const elms::Strategy& other : all) {
    const Plan plan = planner->plan_for(request, other.level, other.keep_ratio);
    CHECK(plan.accepted);
    CHECK(plan.verdict == Verdict::kChosen);
    CHECK(plan.n_prefill_tokens == other.n_prefill_tokens);
    CHECK(plan.ttft_ms == other.ttft_ms);
    CHECK(plan.tpot_ms == other.tpot_ms);
    CHECK(plan.ttft_margin_ms == other.ttft_margin_ms);
    CHECK(plan.expected_quality == other.expected_quality);
  }
  CHECK(planner->plan_for(request, 1000, NAN).keep_ratio == 1.0);
  CHECK(planner->plan_for(request, -3, -1.0).n_keep_tokens == 0);
}

TEST_CASE("equal qualities go to the fastest strategy", "[planner][plan]") {
  const auto planner = synthetic_planner(planner_model());
  PlanRequest request = usual_request();
  elms::StrategyQualities flat;
  flat.widths = {1.0f};
  flat.keep_ratios = {1.0f};
  flat.quality = {0.5f};
  request.qualities = flat;
  const Plan plan = planner->plan(request);
  CHECK(plan.level == 0);
  REQUIRE_FALSE(plan.alternatives.empty());
  CHECK(plan.alternatives[0].verdict == Verdict::kDearer);
}

TEST_CASE("counts that contradict each other do no harm", "[planner][plan]") {
  const auto planner = synthetic_planner(planner_model());
  PlanRequest request;
  request.n_protected_tokens = -5;
  request.n_compressible_tokens = 2147483647;
  request.n_cached_tokens = 2147483647;
  request.n_cached_compressible_tokens = -1;
  request.n_output_tokens = -3;
  request.confidence = NAN;
  request.elapsed_ms = NAN;
  CHECK(planner->plan(request).verdict == Verdict::kOutOfContext);
  CHECK(planner->plan(PlanRequest()).feasible);
  for (const double confidence : {double{NAN}, HUGE_VAL, -HUGE_VAL}) {  // as if none had been said
    CHECK(planner->predict_ttft(3, 100, 0, 20, confidence).margin_ms ==
          planner->predict_ttft(3, 100, 0, 20).margin_ms);
    CHECK(planner->predict_tpot(3, 100, confidence).margin_ms == planner->predict_tpot(3, 100).margin_ms);
  }
  elms::Observation nonsense;
  nonsense.level = 99;
  nonsense.n_prefill_tokens = 5;
  planner->observe(nonsense);
  nonsense.level = 0;
  nonsense.prefill_ms = -1.0;
  planner->observe(nonsense);
  CHECK(planner->drift(elms::Phase::kPrefill) == 1.0);
  elms::PlannerOptions options;
  options.keep_ratios = {0.5, 1.5};
  CHECK(elms::SLOPlanner::create(planner_model(), options).error().code() ==
        elms::StatusCode::kInvalidArgument);
  CHECK(elms::SLOPlanner::create(nullptr).error().code() == elms::StatusCode::kInvalidArgument);
}

TEST_CASE("a plan takes well under 100 microseconds", "[planner][slow]") {
  const auto planner = synthetic_planner(planner_model());
  PlanRequest request = usual_request();
  request.slo = {planner->full_latency(request).ttft_ms * 0.5, 1e9};
  double least = 1e9;
  for (int i = 0; i < 2000; ++i) {
    const auto start = std::chrono::steady_clock::now();
    const Plan plan = planner->plan(request);
    least = std::min(
        least, std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count());
    if (plan.alternatives.empty()) FAIL("no alternatives");
  }
  std::printf("a plan over %zu levels and 10 keep ratios: %.1f us at best\n",
              planner->model().levels().size(), least);
}

TEST_CASE("best effort runs what is worth most for its lateness, a rejected plan shows what is least late",
          "[planner][plan]") {
  const auto model = planner_model();
  const auto planner = synthetic_planner(model);
  PlanRequest request = usual_request();
  request.slo = {.ttft_ms = 0.01, .tpot_ms = 0.01};
  // Only the full model is worth anything.
  elms::StrategyQualities grid;
  for (const elms::Level& level : model->levels())
    grid.widths.push_back(static_cast<float>(level.cost_share));
  grid.keep_ratios = {0.5f, 1.0f};
  grid.quality.assign(2 * grid.widths.size(), 0.0f);
  grid.quality.back() = 1.0f;
  request.qualities = grid;
  const Plan rejected = planner->plan(request);
  CHECK_FALSE(rejected.accepted);
  CHECK(rejected.level == 0);
  request.policy = elms::InfeasiblePolicy::kBestEffort;
  const Plan accepted = planner->plan(request);
  CHECK(accepted.accepted);
  CHECK_FALSE(accepted.feasible);
  CHECK(accepted.level == static_cast<int>(model->levels().size()) - 1);
  CHECK(accepted.keep_ratio == 1.0);
}

TEST_CASE("a planner that may use some levels only plans with these", "[planner][plan]") {
  const auto model = planner_model();
  elms::PlannerOptions options;
  options.profile = synthetic_profile(*model);
  options.levels = {1, 3};
  const auto planner = elms::SLOPlanner::create(model, options);
  REQUIRE_OK(planner);
  std::mt19937 rng = make_rng(77);
  for (int i = 0; i < 50; ++i) {
    PlanRequest request = random_request(rng);
    request.n_alternatives = 1000;
    const Plan plan = (*planner)->plan(request);
    CHECK((plan.level == 1 || plan.level == 3));
    for (const elms::Strategy& other : plan.alternatives) CHECK((other.level == 1 || other.level == 3));
  }
  CHECK((*planner)->plan(usual_request()).level == 3);
  options.levels = {static_cast<int>(model->levels().size())};
  CHECK(elms::SLOPlanner::create(model, options).error().code() == elms::StatusCode::kInvalidArgument);
}
