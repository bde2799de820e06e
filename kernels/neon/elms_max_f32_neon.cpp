#include "kernels/declarations.h"
#include "kernels/neon/neon.h"

extern "C" float elms_max_f32_neon(const float* x, int32_t n) {
  float32x4_t first = vdupq_n_f32(-INFINITY), second = first;
  int32_t i = 0;
  for (; i + 8 <= n; i += 8) {
    first = vmaxnmq_f32(first, vld1q_f32(x + i));  // passes over NaN
    second = vmaxnmq_f32(second, vld1q_f32(x + i + 4));
  }
  float most = vmaxnmvq_f32(vmaxnmq_f32(first, second));
  for (; i < n; ++i) most = x[i] > most ? x[i] : most;
  return most;
}
