// Profiles as files: round trip, foreign ones, damaged ones.
#include <string>

#include "elms/calibrate.hpp"
#include "synthetic_profile.hpp"

using namespace elms_test;
using elms::DeviceProfile;
using elms::StatusCode;

TEST_CASE("a profile survives its file", "[planner][profile]") {
  const auto model = planner_model();
  DeviceProfile profile = synthetic_profile(*model);
  profile.key.cpu = "a \"quoted\" CPU\xff";  // what is not UTF-8 is replaced, not refused
  const std::string path = scratch_path("profile.json");
  REQUIRE_OK(profile.save(path));
  const auto loaded = DeviceProfile::load(path);
  REQUIRE_OK(loaded);
  CHECK(loaded->key.cpu.find("quoted") != std::string::npos);
  CHECK(loaded->key.model_hash == profile.key.model_hash);
  CHECK(loaded->key.model_bytes == profile.key.model_bytes);
  CHECK(loaded->key.threads == profile.key.threads);
  CHECK(loaded->batch_tokens == profile.batch_tokens);
  for (std::size_t i = 0; i < elms::kPhaseCount; ++i) {
    CHECK(loaded->phases[i].coefficients == profile.phases[i].coefficients);
    CHECK(loaded->phases[i].noise == profile.phases[i].noise);
    CHECK(loaded->phases[i].misfit == profile.phases[i].misfit);
  }
}

TEST_CASE("a foreign profile is ignored with the reason, other threads are scaled", "[planner][profile]") {
  const auto model = planner_model();
  const elms::ProfileKey wanted = elms::profile_key(*model);
  CHECK(wanted.cpu != "");
  CHECK(wanted.model_hash != 0);
  CHECK(synthetic_profile(*model).check(wanted).ok());
  const auto note_with = [&](auto&& change) {
    elms::PlannerOptions options;
    options.profile = synthetic_profile(*model);
    options.probe = false;
    change(*options.profile);
    auto planner = elms::SLOPlanner::create(model, options);
    REQUIRE_OK(planner);
    return (*planner)->profile_note();
  };
  CHECK(note_with([](DeviceProfile& p) { p.key.cpu = "Z80"; }).find("another CPU: Z80") != std::string::npos);
  CHECK(note_with([](DeviceProfile& p) { p.key.build = "old"; }).find("another build: old") !=
        std::string::npos);
  CHECK(note_with([](DeviceProfile& p) { ++p.key.model_hash; }).find("another model") != std::string::npos);
  CHECK(note_with([](DeviceProfile& p) { p.key.kv_type = elms::KvType::kQ8; }).find("keys and values") !=
        std::string::npos);
  CHECK(note_with([](DeviceProfile& p) { p.key.threads = 4; }) == "calibrated with 4 threads, scaled to 1");
  // A profile whose coefficients are not those of these terms must not be indexed past its end.
  CHECK(note_with([](DeviceProfile& p) { p.phases[1].coefficients = {1.0}; }) == "calibrated");
}

TEST_CASE("damaged profiles are refused with the key that is wrong", "[planner][profile]") {
  const std::string good = synthetic_profile(*planner_model()).to_json();
  REQUIRE_OK(DeviceProfile::parse(good, "p"));
  const auto error_of = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    const std::size_t at = text.find(from);
    REQUIRE(at != std::string::npos);
    text.replace(at, from.size(), to);
    const auto parsed = DeviceProfile::parse(text, "p");
    REQUIRE_FALSE(parsed.has_value());
    return parsed.error();
  };
  CHECK(error_of("\"elms_profile\": 3", "\"elms_profile\": 7").code() == StatusCode::kUnsupported);
  CHECK(error_of("\"shared_section\": 0.0", "\"shared_section\": -1.0").message().find("shared_section") !=
        std::string::npos);
  CHECK(error_of("\"shared_section\": 0.0", "\"shared_section\": 1e999").code() ==
        StatusCode::kMalformedFile);
  CHECK(error_of("\"word\"", "\"words\"").message().find("word") != std::string::npos);
  CHECK(error_of("\"kv\": \"f16\"", "\"kv\": 3").code() == StatusCode::kMalformedFile);
  CHECK(error_of("\"threads\": 1", "\"threads\": 0").code() == StatusCode::kMalformedFile);
  for (std::size_t n = 0; n < good.size(); n += 97)
    CHECK_FALSE(DeviceProfile::parse(good.substr(0, n), "p").has_value());
  CHECK(DeviceProfile::parse("[]", "p").error().code() == StatusCode::kMalformedFile);
  CHECK(DeviceProfile::load(scratch_path("absent.json")).error().code() == StatusCode::kNotFound);
}

TEST_CASE("without a profile a few tokens are timed once, and requests correct what they missed",
          "[planner][profile]") {
  const auto model = planner_model();
  auto planner = elms::SLOPlanner::create(model);
  REQUIRE_OK(planner);
  CHECK((*planner)->profile_note().find("a few tokens were timed") != std::string::npos);
  const auto before = (*planner)->predict_tpot(0, 50);
  CHECK(before.ms > 0.0);
  CHECK(before.margin_ms > 0.2 * before.ms);  // coarse
  for (int i = 0; i < 8; ++i) {
    elms::Observation seen;
    seen.n_decoded_tokens = 1;
    seen.context_tokens = 50;
    seen.decode_ms = 7.0;
    (*planner)->observe(seen);
  }
  const auto after = (*planner)->predict_tpot(0, 50);
  CHECK(after.ms == Approx(7.0).epsilon(0.02));
  CHECK(after.margin_ms < 0.2 * after.ms);
}

TEST_CASE("a short calibration gives laws that rise with the level and cover what was timed",
          "[planner][calibrate]") {
  const auto model = planner_model();
  elms::CalibrationOptions options;
  options.seconds = 0.3;
  options.held_out_seconds = 0.1;
  options.max_tokens = 64;
  const auto done = elms::calibrate(model, options);
  REQUIRE_OK(done);
  CHECK_FALSE(done->profile.coarse);
  CHECK(done->profile.check(elms::profile_key(*model)).ok());
  bool held_out = false;
  for (const elms::TimedPoint& point : done->points) {
    CHECK(point.runs_ms.size() >= 1);
    CHECK(point.measured_ms > 0.0);
    CHECK(point.predicted_ms > 0.0);
    CHECK(point.typical_ms > 0.0);
    CHECK(point.expected_ms > 0.0);
    held_out = held_out || point.held_out;
  }
  CHECK(held_out);
  elms::PlannerOptions planner_options;
  planner_options.profile = done->profile;
  auto planner = elms::SLOPlanner::create(model, planner_options);
  REQUIRE_OK(planner);
  const int top = static_cast<int>(model->levels().size()) - 1;
  CHECK((*planner)->predict_ttft(top, 64).ms > (*planner)->predict_ttft(0, 64).ms);
  CHECK((*planner)->predict_ttft(top, 64).ms > (*planner)->predict_ttft(top, 16).ms);
  // Cancelled from the callback.
  options.on_progress = [](double) { return elms::Flow::kStop; };
  CHECK(elms::calibrate(model, options).error().code() == StatusCode::kCancelled);
  CHECK(elms::calibrate(nullptr).error().code() == StatusCode::kInvalidArgument);
}
