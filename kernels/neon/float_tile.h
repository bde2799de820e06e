/* The f32 matrix product that float GEMM and attention share: up to 8 rows times 8 columns in registers.
 * Every output's sum runs through k in order, one fused multiply-add after the other, so that it does not
 * depend on how many rows or columns are computed together. */
#ifndef ELMS_KERNELS_NEON_FLOAT_TILE_H_
#define ELMS_KERNELS_NEON_FLOAT_TILE_H_

#include "kernels/neon/neon.h"

namespace {

constexpr int32_t kTileRows = 8;
constexpr int32_t kTileColumns = 8;

struct Columns8 {
  float32x4_t low;   // columns 0..3
  float32x4_t high;  // columns 4..7
};

struct F32Columns {
  static constexpr size_t kBytes = 32;
  static Columns8 load(const uint8_t* p) {
    const float* x = reinterpret_cast<const float*>(p);
    return {vld1q_f32(x), vld1q_f32(x + 4)};
  }
};

template <int kRows, typename Columns, int kLane>
inline void add_lane(Columns8 sums[kRows], const float32x4_t a[kRows], const uint8_t* b) {
  const Columns8 w = Columns::load(b);
  for (int r = 0; r < kRows; ++r) {
    sums[r].low = vfmaq_laneq_f32(sums[r].low, w.low, a[r], kLane);
    sums[r].high = vfmaq_laneq_f32(sums[r].high, w.high, a[r], kLane);
  }
}

/// c[kRows][8] (+)= a[kRows][depth] * b[depth][8]; b's rows are b_stride_bytes apart.
template <int kRows, typename Columns>
void float_tile(const float* a, size_t a_stride, const uint8_t* b, size_t b_stride_bytes, float* c,
                size_t c_stride, int32_t depth, bool accumulate) {
  Columns8 sums[kRows];
  for (int r = 0; r < kRows; ++r) {
    sums[r].low = accumulate ? vld1q_f32(c + r * c_stride) : vdupq_n_f32(0.0f);
    sums[r].high = accumulate ? vld1q_f32(c + r * c_stride + 4) : vdupq_n_f32(0.0f);
  }
  float32x4_t x[kRows];
  int32_t k = 0;
  for (; k + 4 <= depth; k += 4, b += 4 * b_stride_bytes) {
    for (int r = 0; r < kRows; ++r) x[r] = vld1q_f32(a + r * a_stride + k);
    add_lane<kRows, Columns, 0>(sums, x, b);
    add_lane<kRows, Columns, 1>(sums, x, b + b_stride_bytes);
    add_lane<kRows, Columns, 2>(sums, x, b + 2 * b_stride_bytes);
    add_lane<kRows, Columns, 3>(sums, x, b + 3 * b_stride_bytes);
  }
  for (; k < depth; ++k, b += b_stride_bytes) {
    for (int r = 0; r < kRows; ++r) x[r] = vld1q_dup_f32(a + r * a_stride + k);
    add_lane<kRows, Columns, 0>(sums, x, b);
  }
  for (int r = 0; r < kRows; ++r) {
    vst1q_f32(c + r * c_stride, sums[r].low);
    vst1q_f32(c + r * c_stride + 4, sums[r].high);
  }
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
    case 6:
      return float_tile<6, Columns>(a, a_stride, b, b_stride_bytes, c, c_stride, depth, accumulate);
    case 7:
      return float_tile<7, Columns>(a, a_stride, b, b_stride_bytes, c, c_stride, depth, accumulate);
    default:
      return float_tile<8, Columns>(a, a_stride, b, b_stride_bytes, c, c_stride, depth, accumulate);
  }
}

}  // namespace

#endif /* ELMS_KERNELS_NEON_FLOAT_TILE_H_ */
