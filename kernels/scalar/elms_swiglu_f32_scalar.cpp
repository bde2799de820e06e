// Reference SwiGLU. For very negative gates exp overflows to infinity and the quotient is -0, as it should
// be.
#include "kernels/common.h"
#include "kernels/declarations.h"

extern "C" void elms_swiglu_f32_scalar(const float* gate, const float* up, int32_t n, float* out) {
  for (int32_t i = 0; i < n; ++i) out[i] = gate[i] / (1.0f + expf(-gate[i])) * up[i];
}
