#include "kernels/common.h"
#include "kernels/declarations.h"

extern "C" float elms_exp_sum_f32_scalar(const float* x, int32_t n, float shift, float scale, float* out) {
  double sum = 0.0;
  for (int32_t i = 0; i < n; ++i) {
    out[i] = expf(scale * (x[i] - shift));
    sum += static_cast<double>(out[i]);
  }
  return static_cast<float>(sum);
}
