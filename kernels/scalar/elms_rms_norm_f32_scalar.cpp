// Reference RMS norm; the sum of squares is kept in double because rows are long and its error scales every
// output.
#include "kernels/common.h"
#include "kernels/declarations.h"

extern "C" void elms_rms_norm_f32_scalar(const float* x, const float* weight, int32_t n, float epsilon,
                                         float* out) {
  double sum = 0.0;
  for (int32_t i = 0; i < n; ++i) sum += static_cast<double>(x[i]) * x[i];
  const float inverse = static_cast<float>(1.0 / sqrt(sum / n + static_cast<double>(epsilon)));
  for (int32_t i = 0; i < n; ++i) out[i] = x[i] * inverse * weight[i];
}
