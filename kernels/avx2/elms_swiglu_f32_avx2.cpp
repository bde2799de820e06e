#include "kernels/avx2/exp.h"
#include "kernels/declarations.h"

namespace {

__m256 swiglu_8(__m256 gate, __m256 up) {
  const __m256 e = exp_8(_mm256_xor_ps(gate, _mm256_set1_ps(-0.0f)));
  return _mm256_mul_ps(_mm256_div_ps(gate, _mm256_add_ps(_mm256_set1_ps(1.0f), e)), up);
}

}  // namespace

extern "C" void elms_swiglu_f32_avx2(const float* gate, const float* up, int32_t n, float* out) {
  int32_t i = 0;
  for (; i + 8 <= n; i += 8)
    _mm256_storeu_ps(out + i, swiglu_8(_mm256_loadu_ps(gate + i), _mm256_loadu_ps(up + i)));
  if (i == n) return;
  // The rest goes through the same code, so that a value does not depend on where in the row it stands.
  float padded[3][8] = {};
  memcpy(padded[0], gate + i, sizeof(float) * static_cast<size_t>(n - i));
  memcpy(padded[1], up + i, sizeof(float) * static_cast<size_t>(n - i));
  _mm256_storeu_ps(padded[2], swiglu_8(_mm256_loadu_ps(padded[0]), _mm256_loadu_ps(padded[1])));
  memcpy(out + i, padded[2], sizeof(float) * static_cast<size_t>(n - i));
}
