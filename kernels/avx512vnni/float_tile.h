/* The f32 matrix product of attention: up to 8 rows times 32 columns in registers. Every output's sum runs
 * through depth in order, one fused multiply-add after the other. */
#ifndef ELMS_KERNELS_AVX512VNNI_FLOAT_TILE_H_
#define ELMS_KERNELS_AVX512VNNI_FLOAT_TILE_H_

#include <immintrin.h>

#include "kernels/common.h"

namespace {

constexpr int32_t kTileRows = 8;
constexpr int32_t kTileColumns = 32;

/// c[kRows][32] (+)= a[kRows][depth] * b[depth][32].
template <int kRows>
void float_tile(const float* a, size_t a_stride, const float* b, size_t b_stride, float* c, size_t c_stride,
                int32_t depth, bool accumulate) {
  __m512 low[kRows];   // columns 0..15
  __m512 high[kRows];  // columns 16..31
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
    low[r] = accumulate ? _mm512_loadu_ps(c + r * c_stride) : _mm512_setzero_ps();
    high[r] = accumulate ? _mm512_loadu_ps(c + r * c_stride + 16) : _mm512_setzero_ps();
  }
  for (int32_t k = 0; k < depth; ++k, b += b_stride) {
    const __m512 b_low = _mm512_loadu_ps(b);
    const __m512 b_high = _mm512_loadu_ps(b + 16);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const __m512 x = _mm512_set1_ps(a[r * a_stride + k]);
      low[r] = _mm512_fmadd_ps(x, b_low, low[r]);
      high[r] = _mm512_fmadd_ps(x, b_high, high[r]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
    _mm512_storeu_ps(c + r * c_stride, low[r]);
    _mm512_storeu_ps(c + r * c_stride + 16, high[r]);
  }
}

inline void float_tile_rows(int32_t rows, const float* a, size_t a_stride, const float* b, size_t b_stride,
                            float* c, size_t c_stride, int32_t depth, bool accumulate) {
  constexpr decltype(&float_tile<1>) kTiles[] = {float_tile<1>, float_tile<2>, float_tile<3>, float_tile<4>,
                                                 float_tile<5>, float_tile<6>, float_tile<7>, float_tile<8>};
  kTiles[rows - 1](a, a_stride, b, b_stride, c, c_stride, depth, accumulate);
}

}  // namespace

#endif /* ELMS_KERNELS_AVX512VNNI_FLOAT_TILE_H_ */
