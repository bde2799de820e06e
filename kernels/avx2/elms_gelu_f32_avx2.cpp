/* GELU(x) = max(x, 0) - |x| / 2 * erfc(|x| / sqrt(2)), with erfc(z) = t (a1 + t (a2 + ...)) exp(-z^2),
 * t = 1 / (1 + p z), within 1.5e-7 (Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26). No
 * cancellation: where x is negative only the second term is left. */
#include "kernels/avx2/exp.h"
#include "kernels/declarations.h"

namespace {

inline __m256 gelu_8(__m256 x) {
  // Beyond 30 the second term is 0 anyway, and infinity times 0 would not be. Operands in this order let NaN
  // through.
  const __m256 size = _mm256_min_ps(_mm256_set1_ps(30.0f), _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x));
  const __m256 t =
      _mm256_div_ps(_mm256_set1_ps(1.0f),
                    _mm256_fmadd_ps(size, _mm256_set1_ps(0.3275911f * 0.70710678f), _mm256_set1_ps(1.0f)));
  __m256 p = _mm256_set1_ps(1.061405429f);
  p = _mm256_fmadd_ps(p, t, _mm256_set1_ps(-1.453152027f));
  p = _mm256_fmadd_ps(p, t, _mm256_set1_ps(1.421413741f));
  p = _mm256_fmadd_ps(p, t, _mm256_set1_ps(-0.284496736f));
  p = _mm256_fmadd_ps(p, t, _mm256_set1_ps(0.254829592f));
  const __m256 half = _mm256_mul_ps(size, _mm256_set1_ps(0.5f));
  const __m256 e = exp_8(_mm256_mul_ps(_mm256_mul_ps(size, _mm256_set1_ps(-0.5f)), size));
  return _mm256_fnmadd_ps(_mm256_mul_ps(half, _mm256_mul_ps(p, t)), e, _mm256_max_ps(_mm256_setzero_ps(), x));
}

}  // namespace

extern "C" void elms_gelu_f32_avx2(const float* x, int32_t n, float* out) {
  int32_t i = 0;
  for (; i + 8 <= n; i += 8) _mm256_storeu_ps(out + i, gelu_8(_mm256_loadu_ps(x + i)));
  if (i == n) return;
  // The rest goes through the same code, so that a value does not depend on where in the row it stands.
  float padded[8] = {};
  memcpy(padded, x + i, sizeof(float) * static_cast<size_t>(n - i));
  _mm256_storeu_ps(padded, gelu_8(_mm256_loadu_ps(padded)));
  memcpy(out + i, padded, sizeof(float) * static_cast<size_t>(n - i));
}
