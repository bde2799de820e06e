/* Rows of a matrix become a panel: 4 x 4 values at a time, which keeps loads and shuffles in balance. */
#ifndef ELMS_KERNELS_AVX2_PACK_TRANSPOSED_H_
#define ELMS_KERNELS_AVX2_PACK_TRANSPOSED_H_

#include "kernels/avx2/avx2.h"

namespace {

/// Stores the first `count` (1 .. 4) values.
inline void store_first(float* out, __m128 x, int32_t count) {
  if (count >= 4) {
    _mm_storeu_ps(out, x);
    return;
  }
  float values[4];
  _mm_storeu_ps(values, x);
  for (int32_t i = 0; i < count; ++i) out[i] = values[i];
}

/// Panel columns [column, column + 4), as far as the panel goes, from `n_rows` (1 .. 4) rows at x.
inline void pack_4_rows(const float* x, size_t x_stride, int32_t n_rows, int32_t depth, int32_t width,
                        int32_t column, float* panel) {
  const int32_t count = elms_min_i32(4, width - column);
  panel += column;
  int32_t k = 0;
  for (; n_rows > 0 && k + 4 <= depth; k += 4, panel += 4 * static_cast<size_t>(width)) {
    __m128 r0 = _mm_loadu_ps(x + k);
    __m128 r1 = n_rows > 1 ? _mm_loadu_ps(x + x_stride + k) : _mm_setzero_ps();
    __m128 r2 = n_rows > 2 ? _mm_loadu_ps(x + 2 * x_stride + k) : _mm_setzero_ps();
    __m128 r3 = n_rows > 3 ? _mm_loadu_ps(x + 3 * x_stride + k) : _mm_setzero_ps();
    _MM_TRANSPOSE4_PS(r0, r1, r2, r3);
    store_first(panel, r0, count);
    store_first(panel + width, r1, count);
    store_first(panel + 2 * static_cast<size_t>(width), r2, count);
    store_first(panel + 3 * static_cast<size_t>(width), r3, count);
  }
  for (; k < depth; ++k, panel += width) {
    for (int32_t r = 0; r < count; ++r)
      panel[r] = r < n_rows ? x[static_cast<size_t>(r) * x_stride + k] : 0.0f;
  }
}

void pack_transposed(const float* x, size_t x_stride, int32_t rows, int32_t k, int32_t width, float* panel) {
  for (int32_t column = 0; column < width; column += 4) {
    const int32_t left = rows - column;
    if (left >= 4) {
      pack_4_rows(x + static_cast<size_t>(column) * x_stride, x_stride, 4, k, width, column, panel);
    } else {
      pack_4_rows(left > 0 ? x + static_cast<size_t>(column) * x_stride : x, x_stride, left > 0 ? left : 0, k,
                  width, column, panel);
    }
  }
}

}  // namespace

#endif /* ELMS_KERNELS_AVX2_PACK_TRANSPOSED_H_ */
