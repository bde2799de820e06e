#include "kernels/avx2/avx2.h"
#include "kernels/declarations.h"

extern "C" void elms_f16_to_f32_avx2(const uint16_t* x, int32_t n, float* out) {
  int32_t i = 0;
  for (; i + 8 <= n; i += 8) {
    _mm256_storeu_ps(out + i, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(x + i))));
  }
  for (; i < n; ++i) out[i] = elms_f32_of_f16(x[i]);
}
