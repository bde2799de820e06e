// With s = sigmoid(gate): d silu / d gate = s * (1 + gate * (1 - s)).
#include "kernels/common.h"
#include "kernels/declarations.h"

extern "C" void elms_swiglu_backward_f32_scalar(const float* gate, const float* up, const float* dy,
                                                int32_t n, float* d_gate, float* d_up) {
  for (int32_t i = 0; i < n; ++i) {
    const float g = gate[i], sigmoid = 1.0f / (1.0f + expf(-g)), out = dy[i] * sigmoid;
    const float from_up = out * up[i];
    d_up[i] = out * g;
    d_gate[i] = from_up * (1.0f + g * (1.0f - sigmoid));
  }
}
