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
  for (int i = 0; i < 40; ++i) drift.add(noise(rng));
  CHECK(std::exp(drift.level()) == Approx(1.0).margin(0.03));
  for (int i = 0; i < 5; ++i) {
    drift.add(std::log(2.0) + noise(rng));
    if (i == 0) CHECK(std::exp(drift.level()) < 1.1);  // one alone says nothing yet
    if (i >= 3) CHECK(std::exp(drift.level()) == Approx(2.0).epsilon(0.1));
  }
  CHECK(std::exp(drift.level()) == Approx(2.0).epsilon(0.06));
  for (int i = 0; i < 5; ++i) drift.add(noise(rng));
  CHECK(std::exp(drift.level()) == Approx(1.0).epsilon(0.06));
}

TEST_CASE("single odd requests do not move the drift, and steady ones are averaged", "[planner][drift]") {
  std::mt19937 rng = make_rng(73);
  std::normal_distribution<double> noise(0.0, 0.1);
  DriftTracker drift;
  for (int i = 0; i < 64; ++i) {
    drift.add(i % 8 == 7 ? 1.5 : 0.2 + noise(rng));
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
  drift.add(NAN);
  drift.add(INFINITY);
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
