// With s = sigmoid(gate): d silu / d gate = s * (1 + gate * (1 - s)).
#include "kernels/avx2/exp.h"
#include "kernels/declarations.h"

namespace {

struct SwigluGradients {
  __m256 gate;
  __m256 up;
};

inline SwigluGradients gradients_8(__m256 gate, __m256 up, __m256 dy) {
  const __m256 one = _mm256_set1_ps(1.0f);
  const __m256 sigmoid =
      _mm256_div_ps(one, _mm256_add_ps(one, exp_8(_mm256_xor_ps(gate, _mm256_set1_ps(-0.0f)))));
  const __m256 out = _mm256_mul_ps(dy, sigmoid);
  const __m256 slope = _mm256_fmadd_ps(gate, _mm256_sub_ps(one, sigmoid), one);
  return {_mm256_mul_ps(_mm256_mul_ps(out, up), slope), _mm256_mul_ps(out, gate)};
}

}  // namespace

extern "C" void elms_swiglu_backward_f32_avx2(const float* gate, const float* up, const float* dy, int32_t n,
                                              float* d_gate, float* d_up) {
  int32_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const SwigluGradients d =
        gradients_8(_mm256_loadu_ps(gate + i), _mm256_loadu_ps(up + i), _mm256_loadu_ps(dy + i));
    _mm256_storeu_ps(d_gate + i, d.gate);
    _mm256_storeu_ps(d_up + i, d.up);
  }
  if (i == n) return;
  const size_t bytes = sizeof(float) * static_cast<size_t>(n - i);
  float padded[3][8] = {};
  memcpy(padded[0], gate + i, bytes);
  memcpy(padded[1], up + i, bytes);
  memcpy(padded[2], dy + i, bytes);
  const SwigluGradients d =
      gradients_8(_mm256_loadu_ps(padded[0]), _mm256_loadu_ps(padded[1]), _mm256_loadu_ps(padded[2]));
  _mm256_storeu_ps(padded[0], d.gate);
  _mm256_storeu_ps(padded[1], d.up);
  memcpy(d_gate + i, padded[0], bytes);
  memcpy(d_up + i, padded[1], bytes);
}
