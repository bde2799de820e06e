#include "cli/peak/peak_loops.hpp"

namespace elms_cli {
namespace {

constexpr int kLanes = 64;  // as many as compilers turn into vectors and keep in registers

/// Without a use of their results, compilers would drop the loops.
template <typename T>
void keep(T value) {
  volatile T sink = value;
  (void)sink;
}

double f32(std::int64_t rounds) {
  float sums[kLanes] = {}, factors[kLanes];
  for (int i = 0; i < kLanes; ++i) factors[i] = 1.0f - 1e-6f * static_cast<float>(i);
  for (std::int64_t round = 0; round < rounds; ++round) {
    for (int i = 0; i < kLanes; ++i) sums[i] = sums[i] * factors[i] + 1.0f;
  }
  for (const float sum : sums) keep(sum);
  return 2.0 * kLanes * static_cast<double>(rounds);
}

double int8(std::int64_t rounds) {
  std::int32_t sums[kLanes] = {};
  std::int8_t factors[kLanes];
  for (int i = 0; i < kLanes; ++i) factors[i] = static_cast<std::int8_t>(i);
  for (std::int64_t round = 0; round < rounds; ++round) {
    for (int i = 0; i < kLanes; ++i) {
      sums[i] += static_cast<std::int8_t>(sums[i]) * factors[i];
    }
  }
  for (const std::int32_t sum : sums) keep(sum);
  return 2.0 * kLanes * static_cast<double>(rounds);
}

}  // namespace

const PeakLoops kPeakPortable = {"portable", f32, int8};

}  // namespace elms_cli
