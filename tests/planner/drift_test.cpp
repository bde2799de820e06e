// Learning from requests: a slowed machine is noticed within a few, forgotten after, and odd ones move
// nothing.
#include "elms/detail/drift.hpp"

#include <cmath>
#include <random>

#include "synthetic_profile.hpp"

using namespace elms_test;
using elms::detail::DriftTracker;

TEST_CASE("drift follows a machine at half speed within five requests and comes back", "[planner][drift]") {
  std::mt19937 rng = make_rng(72);
  std::normal_distribution<double> noise(0.0, 0.03);
  DriftTracker drift;
  for (int i = 0; i < 40; ++i) drift.add(noise(rng), 2.0);
  CHECK(std::exp(drift.level()) == Approx(1.0).margin(0.03));
  for (int i = 0; i < 5; ++i) {
    drift.add(std::log(2.0) + noise(rng), 2.0);
    if (i == 0) CHECK(std::exp(drift.level()) < 1.1);  // one alone says nothing yet
    if (i >= 3) CHECK(std::exp(drift.level()) == Approx(2.0).epsilon(0.1));
  }
  CHECK(std::exp(drift.level()) == Approx(2.0).epsilon(0.06));
  for (int i = 0; i < 5; ++i) drift.add(noise(rng), 2.0);
  CHECK(std::exp(drift.level()) == Approx(1.0).epsilon(0.06));
}

TEST_CASE("single odd requests do not move the drift, and steady ones are averaged", "[planner][drift]") {
  std::mt19937 rng = make_rng(73);
  std::normal_distribution<double> noise(0.0, 0.1);
  DriftTracker drift;
  for (int i = 0; i < 64; ++i) {
    drift.add(i % 8 == 7 ? 1.5 : 0.2 + noise(rng), 1.0);
    if (i > 16) CHECK(drift.level() == Approx(0.2).margin(0.15));
  }
  CHECK(drift.excess() > 1.0);  // but margins remember that such requests exist
  CHECK(drift.deviation() < 0.25);
  drift.clear();
  CHECK(drift.count() == 0);
  CHECK(drift.level() == 0.0);
}

TEST_CASE("values that are no numbers are ignored", "[planner][drift]") {
  DriftTracker drift;
  drift.add(NAN, 1.0);
  drift.add(INFINITY, 1.0);
  drift.add(0.1, 0.0);
  CHECK(drift.count() == 0);
}

TEST_CASE("the planner's times follow what is observed, each phase on its own", "[planner][drift]") {
  const auto model = planner_model();
  const auto planner = synthetic_planner(model);
  const auto ttft_before = planner->predict_ttft(2, 100);
  const auto tpot_before = planner->predict_tpot(2, 200);
  const auto observe_decode = [&](double factor, int n) {
    for (int i = 0; i < n; ++i) {
      elms::Observation seen;
      seen.level = 2;
      seen.n_decoded_tokens = 1;
      seen.context_tokens = 200;
      seen.decode_ms = tpot_before.ms * factor;
      planner->observe(seen);
    }
  };
  observe_decode(3.0, 5);
  CHECK(planner->predict_tpot(2, 200).ms == Approx(3.0 * tpot_before.ms).epsilon(0.05));
  CHECK(planner->predict_ttft(2, 100).ms == Approx(ttft_before.ms));
  CHECK(planner->drift(elms::Phase::kDecode) == Approx(3.0).epsilon(0.05));
  observe_decode(1.0, 5);
  CHECK(planner->predict_tpot(2, 200).ms == Approx(tpot_before.ms).epsilon(0.05));
  CHECK(planner->predict_tpot(2, 200).margin_ms > tpot_before.margin_ms);  // it may happen again
  planner->forget();
  CHECK(planner->predict_tpot(2, 200).margin_ms == Approx(tpot_before.margin_ms));
}

TEST_CASE("a stall weighs less on a long job than on a short one", "[planner][drift]") {
  DriftTracker drift;
  for (int i = 0; i < 16; ++i)
    drift.add(i % 4 == 3 ? std::log(2.0) : 0.0, 4.0);  // 4 ms jobs, some stalled by 4
  CHECK(drift.excess() == Approx(2.0).epsilon(0.01));  // 4 ms / sqrt(4 ms)
  elms::detail::PhaseState state;
  state.noise = drift.excess();
  CHECK(state.margin_ms(4.0) == Approx(4.0).epsilon(0.01));
  CHECK(state.margin_ms(400.0) == Approx(40.0).epsilon(0.01));
  CHECK(state.margin_of_mean_ms(4.0, 100.0) == Approx(0.4).epsilon(0.01));
}
