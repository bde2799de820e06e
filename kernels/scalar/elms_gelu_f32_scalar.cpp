// Reference GELU. erfc keeps its accuracy where the result is small; the product with -infinity would be NaN.
#include "kernels/common.h"
#include "kernels/declarations.h"

extern "C" void elms_gelu_f32_scalar(const float* x, int32_t n, float* out) {
  for (int32_t i = 0; i < n; ++i) {
    const float bounded = x[i] < -30.0f ? -30.0f : x[i];
    out[i] = 0.5f * bounded * erfcf(bounded * -0x1.6a09e6p-1f);  // 1 / sqrt(2)
  }
}
