// The fit of laws: known laws come back out of noisy times, outliers do not bend them.
#include "elms/detail/latency_fit.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "elms/detail/latency_terms.hpp"
#include "synthetic_profile.hpp"

using namespace elms_test;
namespace detail = elms::detail;

namespace {

/// Prefill points of a level, length and context.
struct LawPoint {
  std::size_t level;
  std::int32_t n, context;
};
std::vector<LawPoint> law_points(bool held_out, std::size_t n_levels) {
  std::vector<LawPoint> points;
  for (std::size_t level = 0; level < n_levels; ++level) {
    if ((level % 2 == 1) != held_out) continue;
    const std::vector<std::int32_t> lengths =
        held_out ? std::vector<std::int32_t>{24, 100, 300} : std::vector<std::int32_t>{8, 32, 64, 160, 400};
    for (const std::int32_t n : lengths) points.push_back({level, n, 0});
    for (const std::int32_t c :
         held_out ? std::vector<std::int32_t>{350} : std::vector<std::int32_t>{150, 500})
      points.push_back({level, 16, c});
  }
  return points;
}

double law(const std::vector<double>& coefficients, const elms::ElasticModel& model, const LawPoint& point) {
  const detail::LevelWork work = detail::level_work(model, point.level, 2);
  return detail::predict(coefficients, detail::prefill_terms(work, point.n, point.context, 512));
}

/// Largest relative error of the fitted law on points that were not fitted.
double worst_held_out(const elms::ElasticModel& model, double noise, double outlier_share) {
  std::mt19937 rng = make_rng(71);
  const std::vector<double> truth = {0.4, 1.5, 4.0, 20.0, 0.01, 6.0, 5.0, 9.0};
  std::normal_distribution<double> normal(0.0, std::max(noise, 1e-12));
  std::uniform_real_distribution<double> uniform(0.0, 1.0);
  detail::FitData data;
  for (const LawPoint& point : law_points(false, model.levels().size())) {
    double ms = law(truth, model, point) * std::exp(normal(rng));
    if (uniform(rng) < outlier_share) ms *= 2.0 + 4.0 * uniform(rng);
    const auto terms =
        detail::prefill_terms(detail::level_work(model, point.level, 2), point.n, point.context, 512);
    data.n_terms = terms.size();
    data.add(terms, ms);
  }
  const std::vector<double> fitted = detail::fit_law(data);
  REQUIRE(fitted.size() == truth.size());
  double worst = 0.0;
  for (const double coefficient : fitted) CHECK(coefficient >= 0.0);
  for (const LawPoint& point : law_points(true, model.levels().size())) {
    worst = std::max(worst, std::abs(law(fitted, model, point) / law(truth, model, point) - 1.0));
  }
  return worst;
}

}  // namespace

TEST_CASE("a known law is recovered from noisy times on levels, lengths and contexts not seen",
          "[planner][fit]") {
  const auto model = planner_model();
  REQUIRE(model->levels().size() >= 5);
  CHECK(worst_held_out(*model, 0.0, 0.0) < 0.005);
  CHECK(worst_held_out(*model, 0.02, 0.0) < 0.05);
}

TEST_CASE("one time in eight that is several times too long does not bend the law", "[planner][fit]") {
  CHECK(worst_held_out(*planner_model(), 0.02, 0.125) < 0.05);
}

TEST_CASE("coefficients are never negative and a term without effect gets none", "[planner][fit]") {
  // Times fall with the second term; without the bound its coefficient would be -0.5.
  detail::FitData data;
  data.n_terms = 2;
  for (int i = 1; i <= 8; ++i) data.add(std::vector<double>{10.0, static_cast<double>(i)}, 10.0 - 0.5 * i);
  const std::vector<double> fitted = detail::fit_law(data);
  CHECK(fitted[0] > 0.0);
  CHECK(fitted[1] == 0.0);
}

TEST_CASE("quantiles interpolate and normal quantiles match tables", "[planner][fit]") {
  const std::vector<double> values = {1.0, 2.0, 4.0};
  CHECK(detail::quantile(values, 0.0) == 1.0);
  CHECK(detail::quantile(values, 0.75) == Approx(3.0));
  CHECK(detail::quantile({}, 0.5) == 0.0);
  CHECK(detail::normal_quantile(0.5) == Approx(0.0).margin(1e-3));
  CHECK(detail::normal_quantile(0.975) == Approx(1.95996).margin(1e-3));
  CHECK(detail::normal_quantile(0.99) == Approx(2.32635).margin(1e-3));
}

TEST_CASE("work grows with the level, and threads take part of what is worth sharing", "[planner][terms]") {
  const auto model = planner_model();
  double before = 0.0;
  for (std::size_t level = 0; level < model->levels().size(); ++level) {
    const detail::LevelWork work = detail::level_work(*model, level, 1);
    CHECK(work.layer_mbytes > before);
    CHECK(work.critical_mbytes == Approx(work.layer_mbytes));  // one thread reads all
    CHECK(detail::level_work(*model, level, 4).critical_mbytes <= work.critical_mbytes);
    before = work.layer_mbytes;
  }
  // As run_products splits: 16 units of 64 Ki multiply-adds each for 2 threads are 16 tasks, half for each.
  CHECK(detail::share_units(16, 16.0 * 65536.0, 2).critical == Approx(0.5));
  CHECK_FALSE(detail::share_units(16, 65536.0, 2).shared);
  CHECK(detail::share_units(3, 3.0 * 65536.0, 2).critical == Approx(2.0 / 3.0));
}
