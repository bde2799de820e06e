/* GELU(x) = max(x, 0) - |x| / 2 * erfc(|x| / sqrt(2)), with erfc(z) = t (a1 + t (a2 + ...)) exp(-z^2),
 * t = 1 / (1 + p z), within 1.5e-7 (Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26). No
 * cancellation: where x is negative only the second term is left. */
#include "kernels/declarations.h"
#include "kernels/neon/neon.h"

namespace {

inline float32x4_t gelu_4(float32x4_t x) {
  // Beyond 30 the second term is 0 anyway, and infinity times 0 would not be.
  const float32x4_t size = vminq_f32(vabsq_f32(x), vdupq_n_f32(30.0f));
  const float32x4_t one = vdupq_n_f32(1.0f);
  const float32x4_t t = vdivq_f32(one, vfmaq_f32(one, size, vdupq_n_f32(0.3275911f * 0.70710678f)));
  float32x4_t p = vdupq_n_f32(1.061405429f);
  p = vfmaq_f32(vdupq_n_f32(-1.453152027f), p, t);
  p = vfmaq_f32(vdupq_n_f32(1.421413741f), p, t);
  p = vfmaq_f32(vdupq_n_f32(-0.284496736f), p, t);
  p = vfmaq_f32(vdupq_n_f32(0.254829592f), p, t);
  const float32x4_t half = vmulq_n_f32(size, 0.5f);
  const float32x4_t e = exp_4(vnegq_f32(vmulq_f32(half, size)));
  return vfmsq_f32(vmaxq_f32(x, vdupq_n_f32(0.0f)), vmulq_f32(half, vmulq_f32(p, t)), e);
}

}  // namespace

extern "C" void elms_gelu_f32_neon(const float* x, int32_t n, float* out) {
  int32_t i = 0;
  for (; i + 4 <= n; i += 4) vst1q_f32(out + i, gelu_4(vld1q_f32(x + i)));
  if (i == n) return;
  // The rest goes through the same code, so that a value does not depend on where in the row it stands.
  float padded[4] = {};
  memcpy(padded, x + i, sizeof(float) * static_cast<size_t>(n - i));
  vst1q_f32(padded, gelu_4(vld1q_f32(padded)));
  memcpy(out + i, padded, sizeof(float) * static_cast<size_t>(n - i));
}
