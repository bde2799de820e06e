// The steps of sampling: pick the best logits, cut the tail, draw. Every step gives the same answer on every
// platform for the same logits: order is total (logit, then id) and probabilities are integers.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include "elms/detail/random.hpp"
#include "elms/types.hpp"

namespace elms::inline v0::detail {

struct Candidate {
  float logit;
  TokenId id;
};

/// Higher logits first, ties by lower id: a total order, as ids are distinct.
[[nodiscard]] constexpr bool ranks_before(const Candidate& a, const Candidate& b) noexcept {
  return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
}

/// Scale of weights: the best candidate weighs kFullWeight, one that is x nats below it kFullWeight * e^-x.
/// 40 bits: a vocabulary of 2^23 entries sums without overflow, and what is less likely than 1e-12 counts as
/// impossible.
inline constexpr int kWeightBits = 40;
inline constexpr std::uint64_t kFullWeight = std::uint64_t{1} << kWeightBits;

/// kFullWeight * 2^-x for x >= 0, to a relative 2e-9, or zero when less than 1 is left. Integers all the way:
/// libm's exp differs between platforms in the last digit, and a fused multiply-add that only some compilers
/// make would too.
[[nodiscard]] constexpr std::uint64_t weight_exp2_minus(double x) noexcept {
  if (!(x < kWeightBits + 1)) return 0;
  // x = whole + step / 32 + rest, the last two in units of 2^-32
  const auto fixed =
      static_cast<std::uint64_t>(x * 4294967296.0);  // a power of two: exact up to the truncation
  const auto whole = static_cast<int>(fixed >> 32);
  const std::uint64_t fraction = fixed & 0xFFFFFFFFu;
  // 2^-rest = 1 - y + y^2/2 - y^3/6 + y^4/24 with y = rest * ln 2 < 0.0217, the next term being under 4e-11
  const std::uint64_t y = ((fraction & 0x07FFFFFFu) * 2977044472u) >> 32;
  const std::uint64_t y2 = (y * y) >> 32;
  const std::uint64_t y3 = (y2 * y) >> 32;
  const std::uint64_t y4 = (y3 * y) >> 32;
  std::uint64_t value = (std::uint64_t{1} << 32) - y + y2 / 2 - y3 / 6 + y4 / 24;
  constexpr std::uint64_t kRoots[5] = {3037000500u, 3611622603u, 3938502376u, 4112874773u,
                                       4202935003u};  // 2^(-1/2^i)
  for (int i = 0; i < 5; ++i) {
    if ((fraction >> (31 - i)) & 1u) value = (value * kRoots[i]) >> 32;
  }
  value =
      std::max(value, std::uint64_t{1} << 31);  // rounding must not make 2^-x less than the next whole power
  return whole > kWeightBits ? 0 : (value << (kWeightBits - 32)) >> whole;
}

/// Weight of a logit beside the best one, at 1 / temperature = inverse_temperature.
[[nodiscard]] inline std::uint64_t weight_of(float logit, float best,
                                             double inverse_temperature_log2e) noexcept {
  return weight_exp2_minus((static_cast<double>(best) - static_cast<double>(logit)) *
                           inverse_temperature_log2e);
}

inline constexpr double kLog2E = 1.4426950408889634;

/// Largest of n logits; NaN is ignored, -infinity when nothing is left. Lanes let compilers use vector
/// maxima, which they may not do to one running maximum.
[[nodiscard]] inline float max_logit(const float* logits, std::size_t n) noexcept {
  constexpr std::size_t kLanes = 16;
  float lanes[kLanes];
  std::fill(lanes, lanes + kLanes, -std::numeric_limits<float>::infinity());
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      lanes[lane] = logits[i + lane] > lanes[lane] ? logits[i + lane] : lanes[lane];
    }
  }
  for (; i < n; ++i) lanes[0] = logits[i] > lanes[0] ? logits[i] : lanes[0];
  return *std::max_element(lanes, lanes + kLanes);
}

/// The best token, ties by lowest id; kNoToken when every logit is NaN or -infinity.
[[nodiscard]] inline TokenId argmax(std::span<const float> logits) noexcept {
  const float best = max_logit(logits.data(), logits.size());
  if (best == -std::numeric_limits<float>::infinity()) return kNoToken;
  return static_cast<TokenId>(std::find(logits.begin(), logits.end(), best) - logits.begin());
}

/// Elements that select_best() needs to find the best k of n.
[[nodiscard]] constexpr std::size_t select_capacity(std::size_t k, std::size_t n) noexcept {
  return k < n / 2 ? 2 * k : n;
}

/// Writes the best k logits to `out` (at least select_capacity(k, n) elements) and returns how many there
/// are: fewer than k where the rest is NaN or -infinity. +infinity counts as the largest finite number. Best
/// first, unless all n were asked for: then by id. Linear in n: a block is looked at only if its best could
/// still get in, and what was gathered is cut back to k whenever it fills the room.
[[nodiscard]] inline std::size_t select_best(std::span<const float> logits, std::size_t k,
                                             std::span<Candidate> out) noexcept {
  constexpr std::size_t kBlock = 128;
  const std::size_t n = logits.size();
  k = std::min(k, n);
  if (k == 0) return 0;
  const auto keep_best_k = [&](std::size_t count) {
    std::nth_element(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(k - 1),
                     out.begin() + static_cast<std::ptrdiff_t>(count), ranks_before);
    return k;
  };
  const std::size_t capacity = select_capacity(k, n);
  float threshold = -std::numeric_limits<float>::infinity();  // what a logit must exceed; later ids lose ties
  std::size_t count = 0;
  for (std::size_t begin = 0; begin < n; begin += kBlock) {
    const std::size_t end = std::min(begin + kBlock, n);
    if (!(max_logit(logits.data() + begin, end - begin) > threshold)) continue;
    for (std::size_t i = begin; i < end; ++i) {
      if (!(logits[i] > threshold)) continue;
      out[count++] = {std::min(logits[i], std::numeric_limits<float>::max()), static_cast<TokenId>(i)};
      if (count == capacity && k < n) {
        count = keep_best_k(count);
        threshold = out[k - 1].logit;
      }
    }
  }
  if (k == n) return count;
  if (count > k) count = keep_best_k(count);
  std::sort(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(count), ranks_before);
  return count;
}

/// The smallest set of best candidates whose probability reaches top_p; they come out best first, at least
/// one. Returns its size; `candidates` must not be empty. Linear, but for sorting what is kept: candidates
/// are first counted by the power of two below their weight, which tells how far down it is worth sorting.
[[nodiscard]] inline std::size_t keep_top_p(std::span<Candidate> candidates, float top_p) noexcept {
  const float best = std::min_element(candidates.begin(), candidates.end(), ranks_before)->logit;
  std::uint64_t mass[kWeightBits + 2] =
      {};  // by bit width of the weight: 0 for none, kWeightBits + 1 for the best
  std::uint64_t total = 0;
  for (const Candidate& candidate : candidates) {
    const std::uint64_t weight = weight_of(candidate.logit, best, kLog2E);
    mass[std::bit_width(weight)] += weight;
    total += weight;
  }
  const double target = static_cast<double>(top_p) * static_cast<double>(total);
  int width = kWeightBits + 1;
  for (std::uint64_t covered = mass[width]; width > 1 && static_cast<double>(covered) < target;)
    covered += mass[--width];

  const auto end = std::partition(candidates.begin(), candidates.end(), [&](const Candidate& candidate) {
    return static_cast<int>(std::bit_width(weight_of(candidate.logit, best, kLog2E))) >= width;
  });
  std::sort(candidates.begin(), end, ranks_before);
  const auto n_sorted = static_cast<std::size_t>(end - candidates.begin());
  std::uint64_t covered = 0;
  for (std::size_t i = 0; i < n_sorted; ++i) {
    covered += weight_of(candidates[i].logit, best, kLog2E);
    if (static_cast<double>(covered) >= target) return i + 1;
  }
  return n_sorted;
}

/// Keeps the candidates that are at least min_p times as likely as the best one, in their order. Returns how
/// many.
[[nodiscard]] inline std::size_t keep_min_p(std::span<Candidate> candidates, float min_p) noexcept {
  const float best = std::min_element(candidates.begin(), candidates.end(), ranks_before)->logit;
  const double least = static_cast<double>(min_p) * static_cast<double>(kFullWeight);
  const auto end = std::remove_if(candidates.begin(), candidates.end(), [&](const Candidate& candidate) {
    return static_cast<double>(weight_of(candidate.logit, best, kLog2E)) < least;
  });
  return static_cast<std::size_t>(end - candidates.begin());
}

/// Draws one of the candidates (not empty) with probability proportional to e^(logit / temperature),
/// temperature > 0.
[[nodiscard]] inline TokenId draw(std::span<const Candidate> candidates, float temperature,
                                  Xoshiro256& rng) noexcept {
  const float best = std::min_element(candidates.begin(), candidates.end(), ranks_before)->logit;
  const double scale = kLog2E / static_cast<double>(temperature);
  std::uint64_t total = 0;
  for (const Candidate& candidate : candidates) total += weight_of(candidate.logit, best, scale);
  std::uint64_t left = rng.below(total);
  for (const Candidate& candidate : candidates) {
    const std::uint64_t weight = weight_of(candidate.logit, best, scale);
    if (left < weight) return candidate.id;
    left -= weight;
  }
  return candidates.back().id;  // not reached: left < total
}

}  // namespace elms::inline v0::detail
