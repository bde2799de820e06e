#include "kernels/avx2/exp.h"
#include "kernels/declarations.h"

namespace {

// 32 partial sums keep the rounding error of a long row small.
float sum_of_squares(const float* x, int32_t n) {
  __m256 sums[4];
  for (__m256& sum : sums) sum = _mm256_setzero_ps();
  int32_t i = 0;
  for (; i + 32 <= n; i += 32) {
    for (int j = 0; j < 4; ++j) {
      const __m256 v = _mm256_loadu_ps(x + i + 8 * j);
      sums[j] = _mm256_fmadd_ps(v, v, sums[j]);
    }
  }
  float rest = 0.0f;
  for (; i < n; ++i) rest += x[i] * x[i];
  return sum_of_lanes(_mm256_add_ps(_mm256_add_ps(sums[0], sums[1]), _mm256_add_ps(sums[2], sums[3]))) + rest;
}

}  // namespace

extern "C" void elms_rms_norm_f32_avx2(const float* x, const float* weight, int32_t n, float epsilon,
                                       float* out) {
  const float inverse = 1.0f / sqrtf(sum_of_squares(x, n) / static_cast<float>(n) + epsilon);
  const __m256 factor = _mm256_set1_ps(inverse);
  int32_t i = 0;
  for (; i + 8 <= n; i += 8) {
    _mm256_storeu_ps(
        out + i, _mm256_mul_ps(_mm256_mul_ps(_mm256_loadu_ps(x + i), factor), _mm256_loadu_ps(weight + i)));
  }
  for (; i < n; ++i) out[i] = x[i] * inverse * weight[i];
}
