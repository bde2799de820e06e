// DeviceProfile: how fast one model runs on one device, as `elms calibrate` or calibrate() measured it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "elms/elastic_model.hpp"
#include "elms/status.hpp"
#include "elms/types.hpp"

namespace elms::inline v0 {

/// The parts of a request whose times are modelled, fitted and learnt apart.
enum class Phase : std::uint8_t {
  kRefine,   ///< the refiner's pass over the compressible words
  kPrefill,  ///< tokens that the cache does not hold, to the first answer token
  kDecode,   ///< each further token
  kCut,      ///< choosing what of the prompt stays, and encoding that; the refiner's pass not included
};
inline constexpr std::size_t kPhaseCount = 4;
/// "refine", "prefill", "decode", "cut".
[[nodiscard]] constexpr const char* phase_name(Phase phase) noexcept {
  constexpr const char* kNames[kPhaseCount] = {"refine", "prefill", "decode", "cut"};
  return kNames[static_cast<std::size_t>(phase)];
}

/// What a profile is for. A profile for anything else is foreign.
struct ProfileKey {
  std::string cpu;                ///< as the CPU names itself
  std::string build;              ///< version of elms, compiler, and the kernels in use
  std::uint64_t model_bytes = 0;  ///< size of the model file
  std::uint64_t model_hash = 0;   ///< of the file's header; 0 for what is no GGUF file
  std::int32_t threads = 0;
  KvType kv_type = KvType::kF16;

  friend bool operator==(const ProfileKey&, const ProfileKey&) = default;
};

/// The key of a model on this device with sessions of so many threads; 0: those of the model's pool.
[[nodiscard]] ProfileKey profile_key(const ElasticModel& model, std::size_t threads = 0,
                                     KvType kv_type = KvType::kF16);

/// A phase's law: milliseconds = sum of coefficient times term (the terms: detail/latency_terms.hpp), and how
/// far runs lay from it. What else happens on a machine comes in stalls of some length, so that its effect on
/// a job grows like the square root of the job's time; what the law itself gets wrong grows like the time.
struct PhaseProfile {
  std::vector<double> coefficients;  ///< [terms of the phase], ms per unit of the term, >= 0
  /// (measured - typical) / sqrt(typical) of single runs of a job, in sqrt(ms), ascending. At most 256.
  std::vector<double> noise;
  /// Robust deviation of log(typical / predicted) over jobs.
  double misfit = 0.0;
};

/// A value; save() and load() are the only ones that touch files, and only when called.
struct DeviceProfile {
  ProfileKey key;
  std::array<PhaseProfile, kPhaseCount> phases;  ///< by Phase
  std::int32_t batch_tokens = 512;               ///< of the sessions it was measured with (SessionOptions)
  double seconds = 0.0;                          ///< that the calibration took
  /// Guessed or probed with a few tokens, not calibrated: margins are wide until requests have been observed.
  bool coarse = false;

  [[nodiscard]] const PhaseProfile& operator[](Phase phase) const noexcept {
    return phases[static_cast<std::size_t>(phase)];
  }
  [[nodiscard]] PhaseProfile& operator[](Phase phase) noexcept {
    return phases[static_cast<std::size_t>(phase)];
  }

  /// Reads what save() wrote. kNotFound, kIoError; kMalformedFile for what is no profile (the message names
  /// the key); kUnsupported for another version of the format.
  [[nodiscard]] static Result<DeviceProfile> load(const std::string& path);
  [[nodiscard]] static Result<DeviceProfile> parse(std::string_view json, const std::string& name);
  /// As JSON; the file appears when it is complete. kIoError.
  Status save(const std::string& path) const;
  [[nodiscard]] std::string to_json() const;

  /// ok, or kUnsupported with what differs ("made on another CPU: X, this is Y"). A difference in threads
  /// alone is not an error: the planner scales it and says so.
  [[nodiscard]] Status check(const ProfileKey& wanted) const;
};

/// Where `elms calibrate --save` puts a model's profile and `elms plan` looks for it:
/// "MODEL.<threads>t.elmsprofile". The library itself reads and writes no profile that it was not told of.
[[nodiscard]] std::string profile_path(const std::string& model_path, std::size_t threads);

}  // namespace elms::inline v0
