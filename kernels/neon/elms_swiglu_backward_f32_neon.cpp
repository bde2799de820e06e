// With s = sigmoid(gate): d silu / d gate = s * (1 + gate * (1 - s)).
#include "kernels/declarations.h"
#include "kernels/neon/neon.h"

namespace {

struct SwigluGradients {
  float32x4_t gate;
  float32x4_t up;
};

inline SwigluGradients gradients_4(float32x4_t gate, float32x4_t up, float32x4_t dy) {
  const float32x4_t one = vdupq_n_f32(1.0f);
  const float32x4_t sigmoid = vdivq_f32(one, vaddq_f32(one, exp_4(vnegq_f32(gate))));
  const float32x4_t out = vmulq_f32(dy, sigmoid);
  const float32x4_t slope = vfmaq_f32(one, gate, vsubq_f32(one, sigmoid));
  return {vmulq_f32(vmulq_f32(out, up), slope), vmulq_f32(out, gate)};
}

}  // namespace

extern "C" void elms_swiglu_backward_f32_neon(const float* gate, const float* up, const float* dy, int32_t n,
                                              float* d_gate, float* d_up) {
  int32_t i = 0;
  for (; i + 4 <= n; i += 4) {
    const SwigluGradients d = gradients_4(vld1q_f32(gate + i), vld1q_f32(up + i), vld1q_f32(dy + i));
    vst1q_f32(d_gate + i, d.gate);
    vst1q_f32(d_up + i, d.up);
  }
  if (i == n) return;
  const size_t bytes = sizeof(float) * static_cast<size_t>(n - i);
  float padded[3][4] = {};
  memcpy(padded[0], gate + i, bytes);
  memcpy(padded[1], up + i, bytes);
  memcpy(padded[2], dy + i, bytes);
  const SwigluGradients d = gradients_4(vld1q_f32(padded[0]), vld1q_f32(padded[1]), vld1q_f32(padded[2]));
  vst1q_f32(padded[0], d.gate);
  vst1q_f32(padded[1], d.up);
  memcpy(d_gate + i, padded[0], bytes);
  memcpy(d_up + i, padded[1], bytes);
}
