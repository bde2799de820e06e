// A device whose laws are known, for the small model: what planner tests predict with.
#pragma once

#include <memory>

#include "elms/slo_planner.hpp"
#include "test_model.hpp"

namespace elms_test {

/// An elastic-like model: uniform levels of a small random one.
inline std::shared_ptr<const elms::ElasticModel> planner_model(std::size_t n_threads = 1) {
  static const std::string path = [] {
    elms::offline::SynthShape shape = small_shape();
    shape.d_ff = 640;
    shape.context_length = 2048;
    return write_model(shape, elms::DType::kQ8_0, "planner.gguf");
  }();
  elms::OpenOptions options;
  options.pool = make_pool(n_threads);
  options.uniform_levels_if_none = true;
  auto model = elms::ElasticModel::open(path, options);
  INFO(model.error().message());
  REQUIRE(model.has_value());
  return *model;
}

/// Laws of round numbers and a symmetric spread of `spread` at the ends.
inline elms::DeviceProfile synthetic_profile(const elms::ElasticModel& model, double spread = 0.1) {
  elms::DeviceProfile profile;
  profile.key = elms::profile_key(model);
  profile[elms::Phase::kRefine].coefficients = {2.0, 0.02};
  profile[elms::Phase::kPrefill].coefficients = {1.0, 2.0, 3.0, 10.0, 0.0, 5.0, 4.0, 8.0};
  profile[elms::Phase::kDecode].coefficients = {1.0, 40.0, 0.0, 30.0, 100.0};
  profile[elms::Phase::kCut].coefficients = {0.0, 0.0};
  for (elms::PhaseProfile& phase : profile.phases) {
    for (int i = -50; i <= 50; ++i) phase.noise.push_back(spread * i / 50.0);
    phase.misfit = spread / 10.0;
  }
  return profile;
}

inline std::shared_ptr<elms::SLOPlanner> synthetic_planner(
    const std::shared_ptr<const elms::ElasticModel>& model, double spread = 0.1) {
  elms::PlannerOptions options;
  options.profile = synthetic_profile(*model, spread);
  auto planner = elms::SLOPlanner::create(model, options);
  INFO(planner.error().message());
  REQUIRE(planner.has_value());
  REQUIRE((*planner)->profile_note() == "calibrated");
  return *planner;
}

}  // namespace elms_test
