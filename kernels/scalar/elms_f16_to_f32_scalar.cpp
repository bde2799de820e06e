#include "kernels/common.h"
#include "kernels/declarations.h"

extern "C" void elms_f16_to_f32_scalar(const uint16_t* x, int32_t n, float* out) {
  for (int32_t i = 0; i < n; ++i) out[i] = elms_f32_of_f16(x[i]);
}
