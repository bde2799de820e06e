/* Rows of a matrix become a panel: 4 x 4 values at a time. */
#ifndef ELMS_KERNELS_AVX2_PACK_TRANSPOSED_H_
#define ELMS_KERNELS_AVX2_PACK_TRANSPOSED_H_

#include "kernels/avx2/avx2.h"

namespace {

/// 4 columns of a panel from 4 rows at x.
inline void pack_4_rows(const float* x, size_t x_stride, int32_t depth, int32_t width, float* panel) {
  const float* rows[4] = {x, x + x_stride, x + 2 * x_stride, x + 3 * x_stride};
  const size_t step = static_cast<size_t>(width);
  int32_t k = 0;
  for (; k + 4 <= depth; k += 4, panel += 4 * step) {
    __m128 r0 = _mm_loadu_ps(rows[0] + k), r1 = _mm_loadu_ps(rows[1] + k);
    __m128 r2 = _mm_loadu_ps(rows[2] + k), r3 = _mm_loadu_ps(rows[3] + k);
    _MM_TRANSPOSE4_PS(r0, r1, r2, r3);
    _mm_storeu_ps(panel, r0);
    _mm_storeu_ps(panel + step, r1);
    _mm_storeu_ps(panel + 2 * step, r2);
    _mm_storeu_ps(panel + 3 * step, r3);
  }
  for (; k < depth; ++k, panel += step) {
    _mm_storeu_ps(panel, _mm_setr_ps(rows[0][k], rows[1][k], rows[2][k], rows[3][k]));
  }
}

/// 2 columns from 2 rows: what 4 leave of a tile of 6.
inline void pack_2_rows(const float* x, size_t x_stride, int32_t depth, int32_t width, float* panel) {
  const float* next = x + x_stride;
  const size_t step = static_cast<size_t>(width);
  int32_t k = 0;
  for (; k + 4 <= depth; k += 4, panel += 4 * step) {
    const __m128 r0 = _mm_loadu_ps(x + k), r1 = _mm_loadu_ps(next + k);
    const __m128 low = _mm_unpacklo_ps(r0, r1), high = _mm_unpackhi_ps(r0, r1);
    _mm_storel_pi(reinterpret_cast<__m64*>(panel), low);
    _mm_storeh_pi(reinterpret_cast<__m64*>(panel + step), low);
    _mm_storel_pi(reinterpret_cast<__m64*>(panel + 2 * step), high);
    _mm_storeh_pi(reinterpret_cast<__m64*>(panel + 3 * step), high);
  }
  for (; k < depth; ++k, panel += step) {
    panel[0] = x[k];
    panel[1] = next[k];
  }
}

void pack_transposed(const float* x, size_t x_stride, int32_t rows, int32_t k, int32_t width, float* panel) {
  int32_t row = 0;
  for (; row + 4 <= rows; row += 4) {
    pack_4_rows(x + static_cast<size_t>(row) * x_stride, x_stride, k, width, panel + row);
  }
  for (; row + 2 <= rows; row += 2) {
    pack_2_rows(x + static_cast<size_t>(row) * x_stride, x_stride, k, width, panel + row);
  }
  for (; row < width; ++row) {
    const float* from = x + static_cast<size_t>(row < rows ? row : 0) * x_stride;
    float* out = panel + row;
    for (int32_t i = 0; i < k; ++i, out += width) *out = row < rows ? from[i] : 0.0f;
  }
}

}  // namespace

#endif /* ELMS_KERNELS_AVX2_PACK_TRANSPOSED_H_ */
