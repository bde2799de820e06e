#include "kernels/avx2/avx2.h"
#include "kernels/declarations.h"

extern "C" void elms_f32_to_f16_avx2(const float* x, int32_t n, uint16_t* out) {
  int32_t i = 0;
  for (; i + 8 <= n; i += 8) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + i),
                     _mm256_cvtps_ph(_mm256_loadu_ps(x + i), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  }
  for (; i < n; ++i) out[i] = elms_f16_of_f32(x[i]);
}
