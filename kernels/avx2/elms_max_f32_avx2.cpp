#include "kernels/avx2/avx2.h"
#include "kernels/declarations.h"

extern "C" float elms_max_f32_avx2(const float* x, int32_t n) {
  // The second operand is what NaN in either gives: sums on the right pass over NaN.
  __m256 first = _mm256_set1_ps(-INFINITY), second = first;
  int32_t i = 0;
  for (; i + 16 <= n; i += 16) {
    first = _mm256_max_ps(_mm256_loadu_ps(x + i), first);
    second = _mm256_max_ps(_mm256_loadu_ps(x + i + 8), second);
  }
  float lanes[8];
  _mm256_storeu_ps(lanes, _mm256_max_ps(first, second));
  float most = -INFINITY;
  for (const float lane : lanes) most = lane > most ? lane : most;
  for (; i < n; ++i) most = x[i] > most ? x[i] : most;
  return most;
}
