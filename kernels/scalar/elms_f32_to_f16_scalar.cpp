#include "kernels/common.h"
#include "kernels/declarations.h"

extern "C" void elms_f32_to_f16_scalar(const float* x, int32_t n, uint16_t* out) {
  for (int32_t i = 0; i < n; ++i) out[i] = elms_f16_of_f32(x[i]);
}
