#include "kernels/declarations.h"
#include "kernels/neon/neon.h"

extern "C" void elms_f16_to_f32_neon(const uint16_t* x, int32_t n, float* out) {
  int32_t i = 0;
  for (; i + 4 <= n; i += 4) vst1q_f32(out + i, load_half_4(x + i));
  for (; i < n; ++i) out[i] = elms_f32_of_f16(x[i]);
}
