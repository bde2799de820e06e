#include "kernels/declarations.h"
#include "kernels/neon/neon.h"

namespace {

// 16 partial sums keep the rounding error of a long row small.
float sum_of_squares(const float* x, int32_t n) {
  float32x4_t sums[4];
  for (float32x4_t& sum : sums) sum = vdupq_n_f32(0.0f);
  int32_t i = 0;
  for (; i + 16 <= n; i += 16) {
    for (int j = 0; j < 4; ++j) {
      const float32x4_t v = vld1q_f32(x + i + 4 * j);
      sums[j] = vfmaq_f32(sums[j], v, v);
    }
  }
  float rest = 0.0f;
  for (; i < n; ++i) rest += x[i] * x[i];
  return vaddvq_f32(vaddq_f32(vaddq_f32(sums[0], sums[1]), vaddq_f32(sums[2], sums[3]))) + rest;
}

}  // namespace

extern "C" void elms_rms_norm_f32_neon(const float* x, const float* weight, int32_t n, float epsilon,
                                       float* out) {
  const float inverse = 1.0f / sqrtf(sum_of_squares(x, n) / static_cast<float>(n) + epsilon);
  int32_t i = 0;
  for (; i + 4 <= n; i += 4) {
    vst1q_f32(out + i, vmulq_f32(vmulq_n_f32(vld1q_f32(x + i), inverse), vld1q_f32(weight + i)));
  }
  for (; i < n; ++i) out[i] = x[i] * inverse * weight[i];
}
