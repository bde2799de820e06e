#include "elms/device_profile.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "elms/detail/content_hash.hpp"
#include "elms/detail/cpu.hpp"
#include "elms/detail/error.hpp"
#include "elms/detail/latency_terms.hpp"
#include "io/json_file.hpp"
#include "io/output_file.hpp"

namespace elms::inline v0 {
namespace {

using detail::JsonObject;
using detail::malformed;

constexpr std::int32_t kProfileVersion = 3;
constexpr std::uint64_t kMaxProfileBytes = 1 << 20;
constexpr std::size_t kMaxNoise = 256;

std::span<const char* const> term_names(Phase phase) {
  switch (phase) {
    case Phase::kRefine:
      return detail::kRefineTerms;
    case Phase::kPrefill:
      return detail::kPrefillTerms;
    case Phase::kDecode:
      return detail::kDecodeTerms;
    case Phase::kCut:
      return detail::kCutTerms;
  }
  return {};
}

/// What of this build decides how fast it is. Terms are part of it: coefficients of other terms mean nothing.
std::string build_name(const ElasticModel& model) {
#if defined(__clang__)
  const char* compiler = "clang " __clang_version__;
#elif defined(__GNUC__)
  const char* compiler = "gcc " __VERSION__;
#else
  const char* compiler = "other compiler";
#endif
#if defined(__OPTIMIZE__) || (defined(_MSC_VER) && defined(NDEBUG))
  const char* optimised = "optimised";
#else
  const char* optimised = "not optimised";
#endif
  return detail::concat("elms ", ELMS_VERSION, ", ", compiler, ", ", optimised, ", ", model.isa());
}

std::string hexadecimal(std::uint64_t value) {
  char digits[17];
  std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(value));
  return digits;
}

/// Finite numbers of an array of at most `most`.
Result<std::vector<double>> reals(const JsonObject& object, std::string_view key, std::size_t most) {
  const nlohmann::json* found = object.find(key);
  if (found == nullptr || !found->is_array() || found->size() > most) {
    return malformed(object.at(key), ": expected an array of at most ", most, " numbers");
  }
  std::vector<double> values;
  for (const nlohmann::json& value : *found) {
    if (!value.is_number()) return malformed(object.at(key), ": expected numbers only");
    values.push_back(value.get<double>());
    if (!std::isfinite(values.back())) return malformed(object.at(key), ": expected finite numbers");
  }
  return values;
}

Result<std::uint64_t> unsigned_of(const JsonObject& object, std::string_view key) {
  ELMS_ASSIGN_OR_RETURN(const std::string_view text, object.string(key));
  const std::string digits(text);
  char* end = nullptr;
  const std::uint64_t value = std::strtoull(digits.c_str(), &end, 16);
  if (digits.empty() || *end != '\0') return malformed(object.at(key), ": expected hexadecimal digits");
  return value;
}

Result<ProfileKey> parse_key(const JsonObject& object) {
  ProfileKey key;
  ELMS_ASSIGN_OR_RETURN(key.cpu, object.string("cpu"));
  ELMS_ASSIGN_OR_RETURN(key.build, object.string("build"));
  ELMS_ASSIGN_OR_RETURN(key.model_bytes, unsigned_of(object, "model_bytes"));
  ELMS_ASSIGN_OR_RETURN(key.model_hash, unsigned_of(object, "model_hash"));
  ELMS_ASSIGN_OR_RETURN(key.threads, object.count("threads"));
  ELMS_ASSIGN_OR_RETURN(const std::string_view kv, object.string("kv"));
  if (kv != "f16" && kv != "q8") return malformed(object.at("kv"), ": expected f16 or q8");
  key.kv_type = kv == "f16" ? KvType::kF16 : KvType::kQ8;
  return key;
}

Result<PhaseProfile> parse_phase(const JsonObject& object, Phase phase) {
  PhaseProfile profile;
  ELMS_ASSIGN_OR_RETURN(const JsonObject law, object.object("ms_per"));
  for (const char* term : term_names(phase)) {
    ELMS_ASSIGN_OR_RETURN(const double coefficient, law.real(term));
    if (!(coefficient >= 0.0) || !std::isfinite(coefficient))
      return malformed(law.at(term), ": expected a number of at least 0");
    profile.coefficients.push_back(coefficient);
  }
  ELMS_ASSIGN_OR_RETURN(profile.noise, reals(object, "noise", kMaxNoise));
  if (!std::is_sorted(profile.noise.begin(), profile.noise.end())) {
    return malformed(object.at("noise"), ": expected ascending numbers");
  }
  ELMS_ASSIGN_OR_RETURN(profile.misfit, object.real("misfit"));
  if (!(profile.misfit >= 0.0) || !std::isfinite(profile.misfit)) {
    return malformed(object.at("misfit"), ": expected a number of at least 0");
  }
  return profile;
}

/// Text of a JSON object, member by member: a container of nlohmann::json takes memory to be given back, and
/// ends the process where there is none.
class ObjectText {
 public:
  /// A value that is no container.
  void add(std::string_view name, const nlohmann::json& value) { add_text(name, text_of(value)); }
  void add_all(std::string_view name, std::span<const double> values) {
    std::string list = "[";
    for (const double value : values) list += detail::concat(list.size() > 1 ? ", " : "", text_of(value));
    add_text(name, list + "]");
  }
  void add_text(std::string_view name, std::string_view json) {
    text_ += detail::concat(text_.empty() ? "{\n" : ",\n", text_of(name), ": ", json);
  }
  [[nodiscard]] std::string finish() const { return text_ + "\n}"; }

 private:
  static std::string text_of(const nlohmann::json& value) {
    return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  }
  std::string text_;
};

std::string phase_json(const PhaseProfile& profile, Phase phase) {
  ObjectText law, json;
  const auto names = term_names(phase);
  for (std::size_t i = 0; i < names.size(); ++i) {
    law.add(names[i], i < profile.coefficients.size() ? profile.coefficients[i] : 0.0);
  }
  json.add_text("ms_per", law.finish());
  json.add_all("noise", profile.noise);
  json.add("misfit", profile.misfit);
  return json.finish();
}

Result<DeviceProfile> parse_profile(std::string_view json, const std::string& name) {
  ELMS_ASSIGN_OR_RETURN(const detail::JsonFile file, detail::JsonFile::parse(json, name));
  const JsonObject top = file.top();
  ELMS_ASSIGN_OR_RETURN(const std::int32_t version, top.count("elms_profile"));
  if (version != kProfileVersion) {
    return detail::unsupported(name, ": profile of version ", version, ", this library reads ",
                               kProfileVersion);
  }
  DeviceProfile profile;
  ELMS_ASSIGN_OR_RETURN(const JsonObject key, top.object("key"));
  ELMS_ASSIGN_OR_RETURN(profile.key, parse_key(key));
  ELMS_ASSIGN_OR_RETURN(profile.batch_tokens, top.count("batch_tokens"));
  ELMS_ASSIGN_OR_RETURN(profile.seconds, top.real_or("seconds", 0.0));
  ELMS_ASSIGN_OR_RETURN(profile.coarse, top.boolean_or("coarse", false));
  ELMS_ASSIGN_OR_RETURN(const JsonObject phases, top.object("phases"));
  for (std::size_t i = 0; i < kPhaseCount; ++i) {
    const Phase phase = static_cast<Phase>(i);
    ELMS_ASSIGN_OR_RETURN(const JsonObject object, phases.object(phase_name(phase)));
    ELMS_ASSIGN_OR_RETURN(profile[phase], parse_phase(object, phase));
  }
  return profile;
}

}  // namespace

ProfileKey profile_key(const ElasticModel& model, std::size_t threads, KvType kv_type) {
  ProfileKey key;
  key.cpu = detail::cpu_name();
  key.build = build_name(model);
  key.model_bytes = model.file_bytes();
  if (const detail::GgufFile* file = model.source().gguf(); file != nullptr) {
    key.model_hash = detail::ContentHash().add(file->header_bytes()).value();
  }
  key.threads = static_cast<std::int32_t>(threads == 0 ? model.pool()->n_threads() : threads);
  key.kv_type = kv_type;
  return key;
}

Result<DeviceProfile> DeviceProfile::load(const std::string& path) {
  ELMS_ASSIGN_OR_RETURN(const detail::FileMapping file,
                        detail::or_out_of_memory([&] { return detail::FileMapping::open(path); }));
  const std::span<const std::uint8_t> bytes = file.bytes();
  if (bytes.size() > kMaxProfileBytes) {
    return malformed(path, ": expected a profile of at most ", kMaxProfileBytes, " bytes, found ",
                     bytes.size());
  }
  return parse({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, path);
}

Result<DeviceProfile> DeviceProfile::parse(std::string_view json, const std::string& name) {
  Result<DeviceProfile> profile = detail::or_out_of_memory([&] { return parse_profile(json, name); });
  // A key that is not there.
  if (!profile.has_value() && profile.error().code() == StatusCode::kNotFound)
    return Status(StatusCode::kMalformedFile, profile.error().message());
  return profile;
}

std::string DeviceProfile::to_json() const {
  ObjectText key_json, phases_json, json;
  key_json.add("cpu", key.cpu);
  key_json.add("build", key.build);
  key_json.add("model_bytes", hexadecimal(key.model_bytes));
  key_json.add("model_hash", hexadecimal(key.model_hash));
  key_json.add("threads", key.threads);
  key_json.add("kv", key.kv_type == KvType::kF16 ? "f16" : "q8");
  for (std::size_t i = 0; i < kPhaseCount; ++i) {
    phases_json.add_text(phase_name(static_cast<Phase>(i)), phase_json(phases[i], static_cast<Phase>(i)));
  }
  json.add("elms_profile", kProfileVersion);
  json.add_text("key", key_json.finish());
  json.add("batch_tokens", batch_tokens);
  json.add("seconds", seconds);
  json.add("coarse", coarse);
  json.add_text("phases", phases_json.finish());
  return json.finish() + "\n";
}

Status DeviceProfile::save(const std::string& path) const {
  return detail::or_out_of_memory([&]() -> Status {
    const std::string text = to_json();
    ELMS_ASSIGN_OR_RETURN(detail::OutputFile file, detail::OutputFile::create(path));
    ELMS_RETURN_IF_ERROR(file.write({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}));
    return file.commit();
  });
}

Status DeviceProfile::check(const ProfileKey& wanted) const {
  using detail::unsupported;
  if (key.cpu != wanted.cpu) return unsupported("made on another CPU: ", key.cpu, ", this is ", wanted.cpu);
  if (key.model_bytes != wanted.model_bytes || key.model_hash != wanted.model_hash) {
    return unsupported("made for another model: ", key.model_bytes, " bytes with header ",
                       hexadecimal(key.model_hash), ", this has ", wanted.model_bytes, " and ",
                       hexadecimal(wanted.model_hash));
  }
  if (key.build != wanted.build)
    return unsupported("made by another build: ", key.build, ", this is ", wanted.build);
  if (key.kv_type != wanted.kv_type)
    return unsupported("made for sessions with another type of keys and values");
  return {};
}

std::string profile_path(const std::string& model_path, std::size_t threads) {
  return detail::concat(model_path, ".", threads, "t.elmsprofile");
}

}  // namespace elms::inline v0
