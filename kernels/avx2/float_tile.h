/* The f32 matrix product that float GEMM and attention share: up to 6 rows times 16 columns in registers.
 * Every output's sum runs through k in order, one fused multiply-add after the other, so that it does not
 * depend on how many rows or columns are computed together. */
#ifndef ELMS_KERNELS_AVX2_FLOAT_TILE_H_
#define ELMS_KERNELS_AVX2_FLOAT_TILE_H_

#include "kernels/avx2/avx2.h"

namespace {

constexpr int32_t kTileRows = 6;
constexpr int32_t kTileColumns = 16;

struct Columns16 {
  __m256 low;   // columns 0..7
  __m256 high;  // columns 8..15
};

struct F32Columns {
  static constexpr size_t kBytes = 64;
  static Columns16 load(const uint8_t* p) {
    const float* x = reinterpret_cast<const float*>(p);
    return {_mm256_loadu_ps(x), _mm256_loadu_ps(x + 8)};
  }
};

/// The sums of kRows rows. A recursion instead of an array, because gcc keeps arrays in memory.
template <int kRows>
struct TileRows {
  TileRows<kRows - 1> above;
  __m256 low;
  __m256 high;

  inline void clear() {
    above.clear();
    low = high = _mm256_setzero_ps();
  }
  inline void load(const float* c, size_t stride) {
    above.load(c, stride);
    low = _mm256_loadu_ps(c + (kRows - 1) * stride);
    high = _mm256_loadu_ps(c + (kRows - 1) * stride + 8);
  }
  inline void add(const float* a, size_t stride, const Columns16& w) {
    above.add(a, stride, w);
    const __m256 x = _mm256_broadcast_ss(a + (kRows - 1) * stride);
    low = _mm256_fmadd_ps(x, w.low, low);
    high = _mm256_fmadd_ps(x, w.high, high);
  }
  inline void store(float* c, size_t stride) const {
    above.store(c, stride);
    _mm256_storeu_ps(c + (kRows - 1) * stride, low);
    _mm256_storeu_ps(c + (kRows - 1) * stride + 8, high);
  }
};

template <>
struct TileRows<0> {
  inline void clear() {}
  inline void load(const float*, size_t) {}
  inline void add(const float*, size_t, const Columns16&) {}
  inline void store(float*, size_t) const {}
};

/// c[kRows][16] (+)= a[kRows][depth] * b[depth][16]; b's rows are b_stride_bytes apart.
template <int kRows, typename Columns>
void float_tile(const float* a, size_t a_stride, const uint8_t* b, size_t b_stride_bytes, float* c,
                size_t c_stride, int32_t depth, bool accumulate) {
  TileRows<kRows> sums;
  accumulate ? sums.load(c, c_stride) : sums.clear();
  for (int32_t k = 0; k < depth; ++k, b += b_stride_bytes) sums.add(a + k, a_stride, Columns::load(b));
  sums.store(c, c_stride);
}

template <typename Columns>
void float_tile_rows(int32_t rows, const float* a, size_t a_stride, const uint8_t* b, size_t b_stride_bytes,
                     float* c, size_t c_stride, int32_t depth, bool accumulate) {
  switch (rows) {
    case 1:
      return float_tile<1, Columns>(a, a_stride, b, b_stride_bytes, c, c_stride, depth, accumulate);
    case 2:
      return float_tile<2, Columns>(a, a_stride, b, b_stride_bytes, c, c_stride, depth, accumulate);
    case 3:
      return float_tile<3, Columns>(a, a_stride, b, b_stride_bytes, c, c_stride, depth, accumulate);
    case 4:
      return float_tile<4, Columns>(a, a_stride, b, b_stride_bytes, c, c_stride, depth, accumulate);
    case 5:
      return float_tile<5, Columns>(a, a_stride, b, b_stride_bytes, c, c_stride, depth, accumulate);
    default:
      return float_tile<6, Columns>(a, a_stride, b, b_stride_bytes, c, c_stride, depth, accumulate);
  }
}

}  // namespace

#endif /* ELMS_KERNELS_AVX2_FLOAT_TILE_H_ */
