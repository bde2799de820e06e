// From a profile and what requests taught to predicted times with margins.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "elms/detail/drift.hpp"
#include "elms/detail/latency_fit.hpp"
#include "elms/detail/latency_terms.hpp"
#include "elms/device_profile.hpp"
#include "elms/elastic_model.hpp"

namespace elms::inline v0::detail {

/// Standard deviations above the mean that a normal value stays below with probability p in [0.5, 1);
/// Abramowitz and Stegun 26.2.23, error below 5e-4.
[[nodiscard]] inline double normal_quantile(double p) noexcept {
  const double t = std::sqrt(-2.0 * std::log(1.0 - std::clamp(p, 0.5, 0.999999)));
  return std::max(0.0, t - (2.515517 + t * (0.802853 + t * 0.010328)) /
                               (1.0 + t * (1.432788 + t * (0.189269 + t * 0.001308))));
}

/// A caller's confidence within the range that margins are known for; no number counts as none said.
[[nodiscard]] inline double usable_confidence(double confidence) noexcept {
  return std::isfinite(confidence) ? std::clamp(confidence, 0.5, 0.9999) : 0.99;
}

/// What turns a law's milliseconds into expected ones and into a margin.
struct PhaseState {
  double factor = 1.0;    ///< expected over law
  double relative = 0.0;  ///< margin that grows with the time
  double noise = 0.0;     ///< sqrt(ms): margin that grows with its square root

  [[nodiscard]] double margin_ms(double expected_ms) const noexcept {
    return std::hypot(relative * expected_ms, noise * std::sqrt(std::max(0.0, expected_ms)));
  }
  /// Of a mean over n jobs of that expected time.
  [[nodiscard]] double margin_of_mean_ms(double expected_ms, double n) const noexcept {
    n = std::max(1.0, n);
    return margin_ms(expected_ms * n) / n;
  }
};

/// The laws of one model on one device. Immutable: learning is in the DriftTrackers beside it.
class LatencyModel {
 public:
  LatencyModel() = default;
  /// The profile's threads may differ from n_threads: what is computed then scales, what memory and barriers
  /// cost stays.
  LatencyModel(const ElasticModel& model, DeviceProfile profile, std::size_t n_threads)
      : profile_(std::move(profile)) {
    for (std::size_t i = 0; i < model.levels().size(); ++i) works_.push_back(level_work(model, i, n_threads));
    const auto measured = static_cast<double>(std::max(1, profile_.key.threads));
    compute_scale_ = measured / static_cast<double>(std::max<std::size_t>(1, n_threads));
    for (std::size_t phase = 0; phase < kPhaseCount; ++phase) {
      std::vector<double> sizes;
      for (const double value : profile_.phases[phase].noise) sizes.push_back(std::abs(value));
      noise_deviation_[phase] = kRobustDeviation * median_of(std::move(sizes));
    }
  }

  [[nodiscard]] const DeviceProfile& profile() const noexcept { return profile_; }
  [[nodiscard]] int n_levels() const noexcept { return static_cast<int>(works_.size()); }
  [[nodiscard]] const LevelWork& work(int level) const noexcept {
    return works_[static_cast<std::size_t>(std::clamp(level, 0, n_levels() - 1))];
  }

  [[nodiscard]] double refine_ms(std::int32_t n_words) const noexcept {
    return predict(profile_[Phase::kRefine].coefficients, refine_terms(n_words));
  }
  [[nodiscard]] double cut_ms(std::int32_t n_words) const noexcept {
    return predict(profile_[Phase::kCut].coefficients, refine_terms(n_words));
  }
  [[nodiscard]] double prefill_ms(int level, std::int32_t n_tokens, std::int32_t n_cached) const noexcept {
    if (n_tokens <= 0) return 0.0;
    PrefillTerms terms = prefill_terms(work(level), n_tokens, std::max(0, n_cached), profile_.batch_tokens);
    for (const std::size_t computed : {2u, 3u, 5u, 6u, 7u}) terms[computed] *= compute_scale_;
    return predict(profile_[Phase::kPrefill].coefficients, terms);
  }
  [[nodiscard]] double decode_ms(int level, double n_context) const noexcept {
    return predict(profile_[Phase::kDecode].coefficients,
                   decode_terms(work(level), std::max(0.0, n_context)));
  }

  /// Expected times are the law's by what recent requests took; margins cover the calibration's spread and
  /// the worst of the recent past. Grows with the confidence.
  [[nodiscard]] PhaseState state(Phase phase, const DriftTracker& drift, double confidence) const noexcept {
    const double p = usable_confidence(confidence);
    const double z = normal_quantile(p);
    const PhaseProfile& calibrated = profile_[phase];
    const bool learnt = drift.count() >= DriftTracker::kShort;
    PhaseState state;
    state.factor = std::exp(drift.level());
    state.relative = z * std::max(learnt && profile_.coarse ? 0.0 : calibrated.misfit, drift.deviation());
    // Few runs know little of the far tail: there the normal law with their robust deviation is the floor.
    state.noise =
        std::max({0.0, quantile(calibrated.noise, p), z * noise_deviation_[static_cast<std::size_t>(phase)],
                  drift.excess() * std::clamp((p - 0.5) / 0.45, 0.0, 1.0)});
    return state;
  }

 private:
  DeviceProfile profile_;
  std::vector<LevelWork> works_;  ///< [n_levels]
  std::array<double, kPhaseCount> noise_deviation_{};
  double compute_scale_ = 1.0;
};

/// Coefficients of an unknown device: about a core of a phone of 2022. Right in their proportions at best.
[[nodiscard]] inline DeviceProfile guessed_profile(ProfileKey key) {
  const double threads = std::max(1, key.threads);
  DeviceProfile profile;
  profile.key = std::move(key);
  profile.coarse = true;
  profile[Phase::kRefine].coefficients = {3.0, 0.1 / threads};
  profile[Phase::kCut].coefficients = {0.1, 0.003};
  // call, weights read a batch (5 GB/s), 20 G multiply-adds a second and thread, row values, sections,
  // attention.
  profile[Phase::kPrefill].coefficients = {
      0.3, 0.2, 0.05 / threads, 2.0 / threads, 0.003, 0.15 / threads, 0.15 / threads, 0.1 / threads};
  profile[Phase::kDecode].coefficients = {0.1, 0.1, 0.003, 0.2, 0.3};
  for (PhaseProfile& phase : profile.phases) {
    phase.noise = {-0.3, -0.2, -0.1, 0.0, 0.1, 0.2, 0.3};
    phase.misfit = 0.25;
  }
  return profile;
}

}  // namespace elms::inline v0::detail
