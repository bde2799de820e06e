/* The vector operations of attention (kernels/attention_blocked.h) for AVX2. */
#ifndef ELMS_KERNELS_AVX2_ATTENTION_OPS_H_
#define ELMS_KERNELS_AVX2_ATTENTION_OPS_H_

#include "kernels/attention_blocked.h"
#include "kernels/avx2/exp.h"
#include "kernels/avx2/float_tile.h"
#include "kernels/declarations.h"

namespace {

void transpose_8x8(const float* in, size_t in_stride, float* out, size_t out_stride) {
  __m256 r[8];
  __m256 t[8];
  for (int i = 0; i < 8; ++i) r[i] = _mm256_loadu_ps(in + i * in_stride);
  for (int i = 0; i < 8; i += 2) {
    t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
    t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
  }
  for (int i = 0; i < 8; i += 4) {
    r[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
    r[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xee);
    r[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
    r[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xee);
  }
  for (int i = 0; i < 4; ++i) {
    _mm256_storeu_ps(out + i * out_stride, _mm256_permute2f128_ps(r[i], r[i + 4], 0x20));
    _mm256_storeu_ps(out + (i + 4) * out_stride, _mm256_permute2f128_ps(r[i], r[i + 4], 0x31));
  }
}

struct Ops {
  static constexpr int32_t kWidth = kTileColumns;

  static void widen_f16(const uint16_t* x, int32_t n, float* out) { elms_f16_to_f32_avx2(x, n, out); }

  static void widen_q8(const int8_t* q, float scale, int32_t n, float* out) {
    const __m256 d = _mm256_set1_ps(scale);
    int32_t i = 0;
    for (; i + 8 <= n; i += 8) {
      const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(q + i));
      _mm256_storeu_ps(out + i, _mm256_mul_ps(d, _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes))));
    }
    for (; i < n; ++i) out[i] = scale * static_cast<float>(q[i]);
  }

  static void transpose(const float* rows, int32_t stride, int32_t n_columns, float* out) {
    for (int32_t column = 0; column < n_columns; column += 8) {
      for (int32_t row = 0; row < kPositions; row += 8) {
        transpose_8x8(rows + static_cast<size_t>(row) * stride + column, stride,
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
        float_tile_rows<F32Columns>(elms_min_i32(height, rows - r), a + static_cast<size_t>(r) * a_stride,
                                    a_stride, reinterpret_cast<const uint8_t*>(b + column),
                                    sizeof(float) * b_stride, c + static_cast<size_t>(r) * c_stride + column,
                                    c_stride, depth, accumulate);
      }
    }
  }

  static float maximum(const float* x, int32_t n) {
    __m256 most = _mm256_set1_ps(-FLT_MAX);
    for (int32_t i = 0; i < n; i += 8) most = _mm256_max_ps(_mm256_loadu_ps(x + i), most);
    __m128 m = _mm_max_ps(_mm256_castps256_ps128(most), _mm256_extractf128_ps(most, 1));
    m = _mm_max_ps(m, _mm_movehl_ps(m, m));
    return _mm_cvtss_f32(_mm_max_ss(m, _mm_movehdup_ps(m)));
  }

  static float exp_and_sum(float* x, int32_t n, float maximum) {
    __m256 sum = _mm256_setzero_ps();
    for (int32_t i = 0; i < n; i += 8) {
      const __m256 e = exp_8(_mm256_sub_ps(_mm256_loadu_ps(x + i), _mm256_set1_ps(maximum)));
      _mm256_storeu_ps(x + i, e);
      sum = _mm256_add_ps(sum, e);
    }
    return sum_of_lanes(sum);
  }

  static void scale(float* x, int32_t n, float factor) {
    for (int32_t i = 0; i < n; i += 8) {
      _mm256_storeu_ps(x + i, _mm256_mul_ps(_mm256_loadu_ps(x + i), _mm256_set1_ps(factor)));
    }
  }
};

}  // namespace

#endif /* ELMS_KERNELS_AVX2_ATTENTION_OPS_H_ */
