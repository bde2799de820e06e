// 12 rows times 8 columns: 24 registers of sums, 2 of b, 3 of a.
#include "kernels/declarations.h"
#include "kernels/neon/neon.h"

namespace {

constexpr int32_t kMr = 12;
constexpr int32_t kNr = 8;

struct Sums4 {  // of 4 rows
  float32x4_t low[4];
  float32x4_t high[4];
};

template <int kLane>
inline void add_row(Sums4& sums, float32x4_t a, float32x4_t b_low, float32x4_t b_high) {
  sums.low[kLane] = vfmaq_laneq_f32(sums.low[kLane], b_low, a, kLane);
  sums.high[kLane] = vfmaq_laneq_f32(sums.high[kLane], b_high, a, kLane);
}

inline void store_row(const elms_tile_args* args, int32_t row, float32x4_t low, float32x4_t high) {
  float* c = args->c + static_cast<size_t>(row) * args->c_stride;
  if (args->accumulate) {
    low = vaddq_f32(vld1q_f32(c), low);
    high = vaddq_f32(vld1q_f32(c + 4), high);
  }
  vst1q_f32(c, low);
  vst1q_f32(c + 4, high);
}

// Every loop over sums is unrolled: gcc keeps arrays that a variable indexes in memory.
template <int kGroups>
void multiply_rows(const elms_tile_args* args) {
  Sums4 sums[kGroups];
#pragma GCC unroll 3
  for (int g = 0; g < kGroups; ++g) {
#pragma GCC unroll 4
    for (int r = 0; r < 4; ++r) sums[g].low[r] = sums[g].high[r] = vdupq_n_f32(0.0f);
  }
  const float* a = args->a;
  const float* b = args->b;
  for (int32_t k = 0; k < args->k; ++k, a += kMr, b += kNr) {
    const float32x4_t b_low = vld1q_f32(b), b_high = vld1q_f32(b + 4);
#pragma GCC unroll 3
    for (int g = 0; g < kGroups; ++g) {
      const float32x4_t x = vld1q_f32(a + 4 * g);
      add_row<0>(sums[g], x, b_low, b_high);
      add_row<1>(sums[g], x, b_low, b_high);
      add_row<2>(sums[g], x, b_low, b_high);
      add_row<3>(sums[g], x, b_low, b_high);
    }
  }
  if (args->m == 4 * kGroups && args->n == kNr) {
#pragma GCC unroll 3
    for (int g = 0; g < kGroups; ++g) {
#pragma GCC unroll 4
      for (int r = 0; r < 4; ++r) store_row(args, 4 * g + r, sums[g].low[r], sums[g].high[r]);
    }
    return;
  }
  float edge[4 * kGroups][kNr];
#pragma GCC unroll 3
  for (int g = 0; g < kGroups; ++g) {
#pragma GCC unroll 4
    for (int r = 0; r < 4; ++r) {
      vst1q_f32(edge[4 * g + r], sums[g].low[r]);
      vst1q_f32(edge[4 * g + r] + 4, sums[g].high[r]);
    }
  }
  elms_store_tile(args, edge[0], kNr);
}

void multiply(const elms_tile_args* args) {
  if (args->m > 8) return multiply_rows<3>(args);
  if (args->m > 4) return multiply_rows<2>(args);
  multiply_rows<1>(args);
}

/// Panel columns 0..3 from `n_rows` rows at x, zeros where there are fewer than 4.
inline void pack_4_rows(const float* x, size_t x_stride, int32_t n_rows, int32_t depth, int32_t width,
                        float* panel) {
  int32_t k = 0;
  for (; n_rows == 4 && k + 4 <= depth; k += 4, panel += 4 * static_cast<size_t>(width)) {
    const float32x4x2_t even_odd = vtrnq_f32(vld1q_f32(x + k), vld1q_f32(x + x_stride + k));
    const float32x4x2_t next = vtrnq_f32(vld1q_f32(x + 2 * x_stride + k), vld1q_f32(x + 3 * x_stride + k));
    for (int i = 0; i < 2; ++i) {
      vst1q_f32(panel + static_cast<size_t>(i) * width,
                vcombine_f32(vget_low_f32(even_odd.val[i]), vget_low_f32(next.val[i])));
      vst1q_f32(panel + static_cast<size_t>(i + 2) * width,
                vcombine_f32(vget_high_f32(even_odd.val[i]), vget_high_f32(next.val[i])));
    }
  }
  for (; k < depth; ++k, panel += width) {
    for (int32_t r = 0; r < 4; ++r) panel[r] = r < n_rows ? x[static_cast<size_t>(r) * x_stride + k] : 0.0f;
  }
}

void pack_transposed(const float* x, size_t x_stride, int32_t rows, int32_t k, int32_t width, float* panel) {
  for (int32_t column = 0; column < width; column += 4) {  // both widths are whole groups of 4
    const int32_t left = rows - column;
    const int32_t n_rows = left > 4 ? 4 : left > 0 ? left : 0;
    pack_4_rows(n_rows == 0 ? x : x + static_cast<size_t>(column) * x_stride, x_stride, n_rows, k, width,
                panel + column);
  }
}

}  // namespace

extern "C" const elms_tile_kernel elms_tile_f32_12x8_neon = {"elms_tile_f32_12x8_neon", kMr, kNr, multiply,
                                                             pack_transposed};
