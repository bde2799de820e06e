/* The vector operations of attention (kernels/attention_blocked.h) for AVX-512. */
#ifndef ELMS_KERNELS_AVX512VNNI_ATTENTION_OPS_H_
#define ELMS_KERNELS_AVX512VNNI_ATTENTION_OPS_H_

#include "kernels/attention_blocked.h"
#include "kernels/avx512vnni/exp.h"
#include "kernels/avx512vnni/float_tile.h"
#include "kernels/declarations.h"

namespace {

inline __mmask16 first_lanes(int32_t n) {
  return n >= 16 ? static_cast<__mmask16>(0xffff) : static_cast<__mmask16>((1u << n) - 1);
}

/// Four columns of 16 rows. Rows i, i + 4, i + 8 and i + 12 are loaded side by side, so that a transposition
/// within each 128 bits puts all 16 in order.
inline void transpose_16x4(const float* in, size_t stride, float* out, size_t out_stride) {
  __m512 r[4];
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    const float* row = in + i * stride;
    r[i] = _mm512_castps128_ps512(_mm_loadu_ps(row));
    r[i] = _mm512_insertf32x4(r[i], _mm_loadu_ps(row + 4 * stride), 1);
    r[i] = _mm512_insertf32x4(r[i], _mm_loadu_ps(row + 8 * stride), 2);
    r[i] = _mm512_insertf32x4(r[i], _mm_loadu_ps(row + 12 * stride), 3);
  }
  const __m512d low01 = _mm512_castps_pd(_mm512_unpacklo_ps(r[0], r[1]));
  const __m512d high01 = _mm512_castps_pd(_mm512_unpackhi_ps(r[0], r[1]));
  const __m512d low23 = _mm512_castps_pd(_mm512_unpacklo_ps(r[2], r[3]));
  const __m512d high23 = _mm512_castps_pd(_mm512_unpackhi_ps(r[2], r[3]));
  _mm512_storeu_ps(out, _mm512_castpd_ps(_mm512_unpacklo_pd(low01, low23)));
  _mm512_storeu_ps(out + out_stride, _mm512_castpd_ps(_mm512_unpackhi_pd(low01, low23)));
  _mm512_storeu_ps(out + 2 * out_stride, _mm512_castpd_ps(_mm512_unpacklo_pd(high01, high23)));
  _mm512_storeu_ps(out + 3 * out_stride, _mm512_castpd_ps(_mm512_unpackhi_pd(high01, high23)));
}

struct Ops {
  static constexpr int32_t kWidth = kTileColumns;

  static void widen_f16(const uint16_t* x, int32_t n, float* out) {
    for (int32_t i = 0; i < n; i += 16) {
      const __mmask16 lanes = first_lanes(n - i);
      _mm512_mask_storeu_ps(out + i, lanes, _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(lanes, x + i)));
    }
  }

  static void widen_q8(const int8_t* q, float scale, int32_t n, float* out) {
    for (int32_t i = 0; i < n; i += 16) {
      const __mmask16 lanes = first_lanes(n - i);
      const __m512i values = _mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(lanes, q + i));
      _mm512_mask_storeu_ps(out + i, lanes, _mm512_mul_ps(_mm512_set1_ps(scale), _mm512_cvtepi32_ps(values)));
    }
  }

  static void transpose(const float* rows, int32_t stride, int32_t n_columns, float* out) {
    for (int32_t column = 0; column < n_columns; column += 4) {
      for (int32_t row = 0; row < kPositions; row += 16) {
        transpose_16x4(rows + static_cast<size_t>(row) * stride + column, stride,
                       out + static_cast<size_t>(column) * kPositions + row, kPositions);
      }
    }
  }

  static void multiply(const float* a, int32_t a_stride, const float* b, int32_t b_stride, float* c,
                       int32_t c_stride, int32_t rows, int32_t columns, int32_t depth, bool accumulate) {
    // Tiles of like height: a low one at the end would not hide the latency of its multiply-adds.
    const int32_t height = elms_ceil_div(rows, elms_ceil_div(rows, kTileRows));
    for (int32_t r = 0; r < rows; r += height) {
      for (int32_t column = 0; column < columns; column += kTileColumns) {
        float_tile_rows(elms_min_i32(height, rows - r), a + static_cast<size_t>(r) * a_stride, a_stride,
                        b + column, b_stride, c + static_cast<size_t>(r) * c_stride + column, c_stride, depth,
                        accumulate);
      }
    }
  }

  static float maximum(const float* x, int32_t n) {
    __m512 most = _mm512_set1_ps(-FLT_MAX);
    for (int32_t i = 0; i < n; i += 16) most = _mm512_max_ps(_mm512_loadu_ps(x + i), most);
    return _mm512_reduce_max_ps(most);
  }

  static float exp_and_sum(float* x, int32_t n, float maximum) {
    __m512 sum = _mm512_setzero_ps();
    for (int32_t i = 0; i < n; i += 16) {
      const __m512 e = exp_16(_mm512_sub_ps(_mm512_loadu_ps(x + i), _mm512_set1_ps(maximum)));
      _mm512_storeu_ps(x + i, e);
      sum = _mm512_add_ps(sum, e);
    }
    return _mm512_reduce_add_ps(sum);
  }

  static void scale(float* x, int32_t n, float factor) {
    for (int32_t i = 0; i < n; i += 16) {
      _mm512_storeu_ps(x + i, _mm512_mul_ps(_mm512_loadu_ps(x + i), _mm512_set1_ps(factor)));
    }
  }
};

}  // namespace

#endif /* ELMS_KERNELS_AVX512VNNI_ATTENTION_OPS_H_ */
