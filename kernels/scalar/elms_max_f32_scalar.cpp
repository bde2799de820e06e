#include "kernels/common.h"
#include "kernels/declarations.h"

extern "C" float elms_max_f32_scalar(const float* x, int32_t n) {
  float most = -INFINITY;
  for (int32_t i = 0; i < n; ++i) most = x[i] > most ? x[i] : most;
  return most;
}
