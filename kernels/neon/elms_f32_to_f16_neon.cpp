#include "kernels/declarations.h"
#include "kernels/neon/neon.h"

extern "C" void elms_f32_to_f16_neon(const float* x, int32_t n, uint16_t* out) {
  int32_t i = 0;
  for (; i + 4 <= n; i += 4) vst1_u16(out + i, vreinterpret_u16_f16(vcvt_f16_f32(vld1q_f32(x + i))));
  for (; i < n; ++i) out[i] = elms_f16_of_f32(x[i]);
}
