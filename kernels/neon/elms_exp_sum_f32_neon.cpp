#include "kernels/declarations.h"
#include "kernels/neon/neon.h"

extern "C" float elms_exp_sum_f32_neon(const float* x, int32_t n, float shift, float scale, float* out) {
  const auto exp_of = [&](const float* from) {
    return exp_4(vmulq_n_f32(vsubq_f32(vld1q_f32(from), vdupq_n_f32(shift)), scale));
  };
  float32x4_t first = vdupq_n_f32(0.0f), second = first;
  int32_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const float32x4_t low = exp_of(x + i), high = exp_of(x + i + 4);
    vst1q_f32(out + i, low);
    vst1q_f32(out + i + 4, high);
    first = vaddq_f32(first, low);
    second = vaddq_f32(second, high);
  }
  float sum = vaddvq_f32(vaddq_f32(first, second));
  while (i < n) {  // the rest goes through the same code
    const int32_t count = elms_min_i32(4, n - i);
    float padded[4] = {};
    memcpy(padded, x + i, sizeof(float) * static_cast<size_t>(count));
    vst1q_f32(padded, exp_of(padded));
    memcpy(out + i, padded, sizeof(float) * static_cast<size_t>(count));
    for (int32_t lane = 0; lane < count; ++lane) sum += padded[lane];
    i += count;
  }
  return sum;
}
