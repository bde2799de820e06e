#include "kernels/declarations.h"
#include "kernels/neon/neon.h"

namespace {

float32x4_t swiglu_4(float32x4_t gate, float32x4_t up) {
  const float32x4_t e = exp_4(vnegq_f32(gate));
  return vmulq_f32(vdivq_f32(gate, vaddq_f32(vdupq_n_f32(1.0f), e)), up);
}

}  // namespace

extern "C" void elms_swiglu_f32_neon(const float* gate, const float* up, int32_t n, float* out) {
  int32_t i = 0;
  for (; i + 4 <= n; i += 4) vst1q_f32(out + i, swiglu_4(vld1q_f32(gate + i), vld1q_f32(up + i)));
  if (i == n) return;
  // The rest goes through the same code, so that a value does not depend on where in the row it stands.
  float padded[3][4] = {};
  memcpy(padded[0], gate + i, sizeof(float) * static_cast<size_t>(n - i));
  memcpy(padded[1], up + i, sizeof(float) * static_cast<size_t>(n - i));
  vst1q_f32(padded[2], swiglu_4(vld1q_f32(padded[0]), vld1q_f32(padded[1])));
  memcpy(out + i, padded[2], sizeof(float) * static_cast<size_t>(n - i));
}
