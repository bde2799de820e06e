#include "kernels/avx2/exp.h"
#include "kernels/declarations.h"

extern "C" float elms_exp_sum_f32_avx2(const float* x, int32_t n, float shift, float scale, float* out) {
  const __m256 shifts = _mm256_set1_ps(shift), scales = _mm256_set1_ps(scale);
  const auto exp_of = [&](const float* from) {
    return exp_8(_mm256_mul_ps(scales, _mm256_sub_ps(_mm256_loadu_ps(from), shifts)));
  };
  __m256 first = _mm256_setzero_ps(), second = first;
  int32_t i = 0;
  for (; i + 16 <= n; i += 16) {
    const __m256 low = exp_of(x + i), high = exp_of(x + i + 8);
    _mm256_storeu_ps(out + i, low);
    _mm256_storeu_ps(out + i + 8, high);
    first = _mm256_add_ps(first, low);
    second = _mm256_add_ps(second, high);
  }
  float sum = sum_of_lanes(_mm256_add_ps(first, second));
  while (i < n) {  // the rest goes through the same code
    const int32_t count = elms_min_i32(8, n - i);
    float padded[8] = {};
    memcpy(padded, x + i, sizeof(float) * static_cast<size_t>(count));
    _mm256_storeu_ps(padded, exp_of(padded));
    memcpy(out + i, padded, sizeof(float) * static_cast<size_t>(count));
    for (int32_t lane = 0; lane < count; ++lane) sum += padded[lane];
    i += count;
  }
  return sum;
}
