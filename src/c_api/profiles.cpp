#include "c_api/arguments.hpp"
#include "c_api/handles.hpp"
#include "elms/calibrate.hpp"
#include "elms/refiner_timing.hpp"

namespace elms::inline v0::detail {
namespace {

Status make_profile(DeviceProfile profile, elms_profile** out) {
  std::string json = profile.to_json();
  ELMS_RETURN_IF_ERROR(make_handle(std::move(profile), out));
  (*out)->json = std::move(json);
  return {};
}

Status load_profile(const char* path, elms_profile** out) {
  if (out == nullptr) return invalid_argument("elms_profile_load: nowhere to write the profile");
  *out = nullptr;
  if (path == nullptr) return invalid_argument("elms_profile_load: the path is a null pointer");
  ELMS_ASSIGN_OR_RETURN(DeviceProfile profile, DeviceProfile::load(path));
  return make_profile(std::move(profile), out);
}

Status parse_profile(const char* json, std::size_t json_bytes, elms_profile** out) {
  if (out == nullptr) return invalid_argument("elms_profile_parse: nowhere to write the profile");
  *out = nullptr;
  ELMS_ASSIGN_OR_RETURN(const std::string_view text, read_text(json, json_bytes, "json"));
  ELMS_ASSIGN_OR_RETURN(DeviceProfile profile, DeviceProfile::parse(text, "profile"));
  return make_profile(std::move(profile), out);
}

Status calibrate_model(const elms_model* model, const elms_calibrate_options* given, elms_profile** out) {
  if (out == nullptr) return invalid_argument("elms_profile_calibrate: nowhere to write the profile");
  *out = nullptr;
  if (model == nullptr) return invalid_argument("elms_profile_calibrate: no model");
  ELMS_ASSIGN_OR_RETURN(const elms_calibrate_options asked, read_options(given, "elms_calibrate_options"));
  CalibrationOptions options;
  if (asked.seconds != 0.0) options.seconds = asked.seconds;
  if (asked.kv_int8 != 0) options.kv_type = KvType::kQ8;
  if (asked.batch_tokens != 0) options.batch_tokens = asked.batch_tokens;
  if (asked.max_tokens != 0) options.max_tokens = asked.max_tokens;
  if (asked.refiner != nullptr) options.refine = refiner_timing(asked.refiner->refiner);
  if (asked.on_progress != nullptr) {
    options.on_progress = [on_progress = asked.on_progress, user_data = asked.user_data](double fraction) {
      return on_progress(user_data, fraction) == ELMS_STOP ? Flow::kStop : Flow::kContinue;
    };
  }
  ELMS_ASSIGN_OR_RETURN(Calibration calibration, calibrate(model->model, options));
  return make_profile(std::move(calibration.profile), out);
}

Status save_profile(const elms_profile* profile, const char* path) {
  if (profile == nullptr) return invalid_argument("elms_profile_save: no profile");
  if (path == nullptr) return invalid_argument("elms_profile_save: the path is a null pointer");
  return profile->profile.save(path);
}

}  // namespace
}  // namespace elms::inline v0::detail

extern "C" {

elms_code elms_profile_load(const char* path, elms_profile** profile, elms_error* error) {
  return elms::detail::report([&] { return elms::detail::load_profile(path, profile); }, error);
}

elms_code elms_profile_parse(const char* json, size_t json_bytes, elms_profile** profile, elms_error* error) {
  return elms::detail::report([&] { return elms::detail::parse_profile(json, json_bytes, profile); }, error);
}

elms_code elms_profile_calibrate(const elms_model* model, const elms_calibrate_options* options,
                                 elms_profile** profile, elms_error* error) {
  return elms::detail::report([&] { return elms::detail::calibrate_model(model, options, profile); }, error);
}

elms_code elms_profile_save(const elms_profile* profile, const char* path, elms_error* error) {
  return elms::detail::report([&] { return elms::detail::save_profile(profile, path); }, error);
}

const char* elms_profile_json(const elms_profile* profile, size_t* json_bytes) {
  if (json_bytes != nullptr) *json_bytes = profile == nullptr ? 0 : profile->json.size();
  return profile == nullptr ? "" : profile->json.c_str();
}

void elms_profile_free(elms_profile* profile) {
  delete profile;
}

}  // extern "C"
