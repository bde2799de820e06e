// Plans through elms.h: those of C++ for the same profile, and structs of every size.
#include <cmath>
#include <cstring>
#include <limits>

#include "../planner/synthetic_profile.hpp"
#include "c_api_fixture.hpp"

using namespace elms_test;

namespace {

/// A profile of round numbers for the model that ships, through its JSON.
ProfileHandle synthetic_in_c() {
  const std::string json = synthetic_profile(*open_model(mini_path())).to_json();
  elms_profile* profile = nullptr;
  elms_error error{};
  const elms_code code = elms_profile_parse(json.data(), json.size(), &profile, &error);
  INFO(error.message);
  REQUIRE(code == ELMS_OK);
  return ProfileHandle(profile);
}

PlannerHandle planner_in_c(const elms_model* model, const elms_planner_options& options) {
  elms_planner* planner = nullptr;
  elms_error error{};
  const elms_code code = elms_planner_create(model, &options, &planner, &error);
  INFO(error.message);
  REQUIRE(code == ELMS_OK);
  return PlannerHandle(planner);
}

PlannerHandle synthetic_planner_in_c(const elms_model* model) {
  const ProfileHandle profile = synthetic_in_c();
  auto options = sized<elms_planner_options>();
  options.profile = profile.get();
  return planner_in_c(model, options);
}

std::string note_in_c(const elms_planner* planner) {
  std::size_t n = 0;
  REQUIRE(elms_planner_note(planner, nullptr, 0, &n, nullptr) == ELMS_OK);
  std::string note(n, '\0');
  REQUIRE(elms_planner_note(planner, note.data(), n, &n, nullptr) == ELMS_OK);
  return note;
}

elms_plan plan_in_c(const elms_planner* planner, const elms_plan_request& request) {
  auto plan = sized<elms_plan>();
  elms_error error{};
  const elms_code code = elms_planner_plan(planner, &request, &plan, &error);
  INFO(error.message);
  REQUIRE(code == ELMS_OK);
  return plan;
}

elms_plan_request request_in_c(double ttft_ms, double tpot_ms) {
  auto request = sized<elms_plan_request>();
  request.n_protected_tokens = 60;
  request.n_compressible_tokens = 340;
  request.n_output_tokens = 16;
  request.ttft_ms = ttft_ms;
  request.tpot_ms = tpot_ms;
  return request;
}

}  // namespace

TEST_CASE("c_api plans as C++ does, and as its profile says", "[c_api][planner]") {
  ModelHandle model = open_in_c(mini_path());
  const PlannerHandle planner = synthetic_planner_in_c(model.get());
  model.reset();  // the planner keeps it
  CHECK(note_in_c(planner.get()) == "calibrated");
  const auto expected_planner = synthetic_planner(open_model(mini_path()));
  bool met = false, missed = false;
  for (const double scale : {0.01, 0.3, 0.6, 0.9, 3.0, 1e9}) {
    const elms::Slo full = [&] {
      elms::PlanRequest whole;
      whole.n_protected_tokens = 400;
      return expected_planner->full_latency(whole);
    }();
    elms::PlanRequest expected_request;
    expected_request.n_protected_tokens = 60;
    expected_request.n_compressible_tokens = 340;
    expected_request.n_output_tokens = 16;
    expected_request.slo = {full.ttft_ms * scale, full.tpot_ms * scale};
    const elms::Plan expected = expected_planner->plan(expected_request);
    const elms_plan plan = plan_in_c(planner.get(), request_in_c(full.ttft_ms * scale, full.tpot_ms * scale));
    CHECK(plan.level == expected.level);
    CHECK(plan.width == expected.width);
    CHECK(plan.keep_ratio == expected.keep_ratio);
    CHECK(plan.ttft_ms == expected.ttft_ms);
    CHECK(plan.tpot_margin_ms == expected.tpot_margin_ms);
    CHECK(plan.ttft_target_ms == expected.slo.ttft_ms);
    CHECK(plan.expected_quality == expected.expected_quality);
    CHECK((plan.feasible != 0) == expected.feasible);
    CHECK((plan.accepted != 0) == expected.accepted);
    CHECK(plan.n_prefill_tokens == expected.n_prefill_tokens);
    CHECK(plan.reason == expected.reason);
    (plan.feasible != 0 ? met : missed) = true;
  }
  CHECK((met && missed));
}

TEST_CASE("c_api plans: no targets, shares, best effort, an empty prompt", "[c_api][planner]") {
  const ModelHandle model = open_in_c(mini_path());
  const PlannerHandle planner = synthetic_planner_in_c(model.get());
  const elms_plan free_of_targets = plan_in_c(planner.get(), request_in_c(0.0, 0.0));
  CHECK(free_of_targets.width == 1.0);
  CHECK(free_of_targets.keep_ratio == 1.0);
  CHECK(std::isinf(free_of_targets.ttft_target_ms));

  auto shares = request_in_c(0.0, 0.0);
  shares.ttft_share = 0.5;
  const elms_plan half = plan_in_c(planner.get(), shares);
  CHECK(half.feasible == 1);
  CHECK(half.ttft_ms + half.ttft_margin_ms <= half.ttft_target_ms);
  CHECK(half.ttft_target_ms < free_of_targets.ttft_ms);

  auto hopeless = request_in_c(1e-6, 1e-6);
  const elms_plan rejected = plan_in_c(planner.get(), hopeless);
  CHECK(rejected.accepted == 0);
  CHECK(rejected.level == 0);  // the least overshoot
  hopeless.best_effort = 1;
  const elms_plan best = plan_in_c(planner.get(), hopeless);
  CHECK(best.accepted == 1);
  CHECK(best.feasible == 0);
  CHECK(best.level > 0);  // worth most for its lateness: elms-mini's narrowest level is hardly ever right
  CHECK(best.expected_quality > 5.0 * rejected.expected_quality);
  CHECK(std::string(best.reason).find("infeasible") == 0);

  auto too_long = request_in_c(0.0, 0.0);
  too_long.n_protected_tokens = 1 << 20;
  too_long.best_effort = 1;
  CHECK(plan_in_c(planner.get(), too_long).accepted == 0);
  plan_in_c(planner.get(), sized<elms_plan_request>());
}

TEST_CASE("c_api fills plans of older and newer callers", "[c_api][planner]") {
  const ModelHandle model = open_in_c(mini_path());
  const PlannerHandle planner = synthetic_planner_in_c(model.get());
  const auto request = request_in_c(0.0, 0.0);
  const elms_plan whole = plan_in_c(planner.get(), request);

  elms_plan older;
  std::memset(&older, 0x5A, sizeof older);
  older.struct_size = offsetof(elms_plan, ttft_ms);
  REQUIRE(elms_planner_plan(planner.get(), &request, &older, nullptr) == ELMS_OK);
  CHECK(older.keep_ratio == whole.keep_ratio);
  CHECK(older.struct_size == offsetof(elms_plan, ttft_ms));
  CHECK(static_cast<unsigned char>(older.reason[0]) == 0x5A);  // no byte of it was written
  CHECK(std::memcmp(&older.ttft_ms, older.reason, sizeof older.ttft_ms) == 0);

  struct Newer {
    elms_plan known;
    std::int64_t unknown;
  } newer{};
  newer.known.struct_size = sizeof newer;
  newer.unknown = 7;
  REQUIRE(elms_planner_plan(planner.get(), &request, &newer.known, nullptr) == ELMS_OK);
  CHECK(newer.unknown == 0);
  CHECK(newer.known.struct_size == sizeof newer);
  CHECK(std::string(newer.known.reason) == whole.reason);
}

TEST_CASE("c_api planners learn, forget, and may be told not to", "[c_api][planner]") {
  const ModelHandle model = open_in_c(mini_path());
  const PlannerHandle planner = synthetic_planner_in_c(model.get());
  const auto request = request_in_c(0.0, 0.0);
  const double calibrated_ms = plan_in_c(planner.get(), request).ttft_ms;
  auto slow = sized<elms_observation>();
  slow.level = elms_model_n_levels(model.get()) - 1;
  slow.n_prefill_tokens = 400;
  slow.prefill_ms = 3.0 * calibrated_ms;
  for (int i = 0; i < 20; ++i) REQUIRE(elms_planner_observe(planner.get(), &slow, nullptr) == ELMS_OK);
  CHECK(plan_in_c(planner.get(), request).ttft_ms > 2.0 * calibrated_ms);
  elms_planner_forget(planner.get());
  CHECK(plan_in_c(planner.get(), request).ttft_ms == calibrated_ms);

  const ProfileHandle profile = synthetic_in_c();
  auto options = sized<elms_planner_options>();
  options.profile = profile.get();
  options.without_learning = 1;
  const double ratios[] = {0.25};
  options.keep_ratios = ratios;
  options.n_keep_ratios = 1;
  const PlannerHandle deaf = planner_in_c(model.get(), options);
  for (int i = 0; i < 20; ++i) REQUIRE(elms_planner_observe(deaf.get(), &slow, nullptr) == ELMS_OK);
  CHECK(plan_in_c(deaf.get(), request).ttft_ms == calibrated_ms);
  auto tight = request_in_c(1e-6, 0.0);
  tight.best_effort = 1;
  CHECK(plan_in_c(deaf.get(), tight).keep_ratio == 0.25);

  elms_error error{};
  slow.level = 99;
  CHECK(elms_planner_observe(planner.get(), &slow, &error) == ELMS_INVALID_ARGUMENT);
  CHECK(elms_planner_observe(planner.get(), nullptr, &error) == ELMS_INVALID_ARGUMENT);
  elms_planner_forget(nullptr);
}

TEST_CASE("c_api profiles: from file and text, and calibrated", "[c_api][planner]") {
  const ProfileHandle profile = synthetic_in_c();
  elms_error error{};
  const std::string path = scratch_path("c.elmsprofile");
  REQUIRE(elms_profile_save(profile.get(), path.c_str(), &error) == ELMS_OK);
  elms_profile* raw = nullptr;
  REQUIRE(elms_profile_load(path.c_str(), &raw, &error) == ELMS_OK);
  const ProfileHandle loaded(raw);
  std::size_t n = 0;
  const std::string json(elms_profile_json(profile.get(), &n));
  CHECK(json.size() == n);
  CHECK(json == elms_profile_json(loaded.get(), nullptr));

  CHECK(elms_profile_load("/no/such/profile", &raw, &error) == ELMS_NOT_FOUND);
  CHECK(raw == nullptr);
  CHECK(elms_profile_parse("[1]", 3, &raw, &error) == ELMS_MALFORMED_FILE);
  CHECK(elms_profile_parse(nullptr, 2, &raw, &error) == ELMS_INVALID_ARGUMENT);
  CHECK(elms_profile_load(nullptr, &raw, &error) == ELMS_INVALID_ARGUMENT);
  CHECK(elms_profile_save(profile.get(), "/no/such/folder/profile", &error) == ELMS_IO_ERROR);
  CHECK(elms_profile_save(nullptr, path.c_str(), &error) == ELMS_INVALID_ARGUMENT);

  const ModelHandle model = open_in_c(mini_path());
  auto options = sized<elms_calibrate_options>();
  options.seconds = 0.05;
  options.max_tokens = 16;
  double done = 0.0;
  options.user_data = &done;
  options.on_progress = [](void* user_data, double fraction) {
    *static_cast<double*>(user_data) = fraction;
    return ELMS_CONTINUE;
  };
  REQUIRE(elms_profile_calibrate(model.get(), &options, &raw, &error) == ELMS_OK);
  const ProfileHandle measured(raw);
  CHECK(done > 0.0);
  auto planner_options = sized<elms_planner_options>();
  planner_options.profile = measured.get();
  const PlannerHandle planner = planner_in_c(model.get(), planner_options);
  CHECK(note_in_c(planner.get()) == "calibrated");
  CHECK(plan_in_c(planner.get(), request_in_c(0.0, 0.0)).ttft_ms > 0.0);
  options.on_progress = [](void*, double) { return ELMS_STOP; };
  CHECK(elms_profile_calibrate(model.get(), &options, &raw, &error) == ELMS_CANCELLED);
  CHECK(raw == nullptr);
  CHECK(elms_profile_calibrate(nullptr, nullptr, &raw, &error) == ELMS_INVALID_ARGUMENT);
}

TEST_CASE("c_api says why a plan cannot be made", "[c_api][planner]") {
  const ModelHandle model = open_in_c(mini_path());
  elms_error error{};
  elms_planner* planner = nullptr;
  CHECK(elms_planner_create(nullptr, nullptr, &planner, &error) == ELMS_INVALID_ARGUMENT);
  CHECK(elms_planner_create(model.get(), nullptr, nullptr, &error) == ELMS_INVALID_ARGUMENT);
  auto options = sized<elms_planner_options>();
  options.n_keep_ratios = 2;
  CHECK(elms_planner_create(model.get(), &options, &planner, &error) == ELMS_INVALID_ARGUMENT);
  const double ratios[] = {0.5, 1.5};
  options.keep_ratios = ratios;
  CHECK(elms_planner_create(model.get(), &options, &planner, &error) == ELMS_INVALID_ARGUMENT);
  options.struct_size = 1;
  CHECK(elms_planner_create(model.get(), &options, &planner, &error) == ELMS_INVALID_ARGUMENT);
  CHECK(planner == nullptr);

  auto guessing = sized<elms_planner_options>();
  guessing.without_probe = 1;
  const PlannerHandle made = planner_in_c(model.get(), guessing);
  CHECK(note_in_c(made.get()).find("guessed") != std::string::npos);
  auto plan = sized<elms_plan>();
  plan.level = 77;
  const auto refuses = [&](double ttft_ms, double tpot_ms, double ttft_share, double tpot_share) {
    auto request = request_in_c(ttft_ms, tpot_ms);
    request.ttft_share = ttft_share;
    request.tpot_share = tpot_share;
    return elms_planner_plan(made.get(), &request, &plan, &error) == ELMS_INVALID_ARGUMENT &&
           plan.level == 77;
  };
  CHECK(refuses(-1.0, 0.0, 0.0, 0.0));
  CHECK(refuses(std::nan(""), 0.0, 0.0, 0.0));
  CHECK(refuses(0.0, 0.0, 1.5, 0.0));
  CHECK(refuses(0.0, 0.0, 0.5, -0.5));
  CHECK(refuses(0.0, 0.0, std::nan(""), 0.0));
  CHECK(refuses(100.0, 0.0, 0.5, 0.0));
  const auto request = request_in_c(0.0, 0.0);
  CHECK(elms_planner_plan(nullptr, &request, &plan, &error) == ELMS_INVALID_ARGUMENT);
  CHECK(elms_planner_plan(made.get(), &request, nullptr, &error) == ELMS_INVALID_ARGUMENT);
  plan.struct_size = 0;
  CHECK(elms_planner_plan(made.get(), &request, &plan, &error) == ELMS_INVALID_ARGUMENT);
  CHECK(elms_planner_note(nullptr, nullptr, 0, nullptr, &error) == ELMS_INVALID_ARGUMENT);
  elms_planner_free(nullptr);
  elms_profile_free(nullptr);
}
