/* GEMM and GEMV over quantised weights in panels of 8 outputs with the matrix multiplication instructions of
 * ARMv8.6, shared by Q8 and Q4: they differ in Weights.
 *
 *   struct Weights::Block              the panel's block; `uint16_t scale[8]` comes first
 *   Weights::load_half(block, h, w)    w[s][p] = outputs 2 p and 2 p + 1, of each the k 16 h + 8 s .. + 7
 *   Weights::to_float(sums)            undoes the factor that Q4's weights carry
 *
 * One smmla takes 2 rows and 2 outputs over 8 k. Sums stay 2x2 until the last block.
 */
#ifndef ELMS_KERNELS_I8MM_GEMM_QUANT_H_
#define ELMS_KERNELS_I8MM_GEMM_QUANT_H_

#include "kernels/gemm_loops.h"
#include "kernels/i8mm/lhs_q8.h"

namespace {

constexpr int32_t kNr = 8;
constexpr int kRowPairs = kMr / 2;
constexpr int kOutputPairs = kNr / 2;

template <typename Weights>
inline void dot_tile(const typename Weights::Block& block, const LhsTile& lhs,
                     int32x4_t sums[kRowPairs][kOutputPairs]) {
  for (int r = 0; r < kRowPairs; ++r) {
    for (int p = 0; p < kOutputPairs; ++p) sums[r][p] = vdupq_n_s32(0);
  }
  for (int half = 0; half < 2; ++half) {
    int8x16_t w[2][kOutputPairs];
    Weights::load_half(block, half, w);
    for (int step = 0; step < 2; ++step) {
      for (int r = 0; r < kRowPairs; ++r) {
        const int8x16_t q = vld1q_s8(lhs.q[r][2 * half + step][0]);
        for (int p = 0; p < kOutputPairs; ++p) sums[r][p] = vmmlaq_s32(sums[r][p], q, w[step][p]);
      }
    }
  }
}

/// Scales of outputs 2 p and 2 p + 1 as [w0 w1 w0 w1].
inline void spread_scales(const uint16_t* scale, float32x4_t spread[kOutputPairs]) {
  for (int half = 0; half < 2; ++half) {
    const float64x2_t pairs = vreinterpretq_f64_f32(load_half_4(scale + 4 * half));
    spread[2 * half] = vreinterpretq_f32_f64(vdupq_laneq_f64(pairs, 0));
    spread[2 * half + 1] = vreinterpretq_f32_f64(vdupq_laneq_f64(pairs, 1));
  }
}

inline float32x4_t lower_halves(float32x4_t a, float32x4_t b) {
  return vreinterpretq_f32_f64(vzip1q_f64(vreinterpretq_f64_f32(a), vreinterpretq_f64_f32(b)));
}

inline float32x4_t upper_halves(float32x4_t a, float32x4_t b) {
  return vreinterpretq_f32_f64(vzip2q_f64(vreinterpretq_f64_f32(a), vreinterpretq_f64_f32(b)));
}

template <typename Weights>
void gemm_tile(const elms_gemm_args* args, const uint8_t* panel, int32_t column, int32_t row,
               int32_t n_rows) {
  const int32_t n_blocks = args->k / ELMS_QUANT_BLOCK;
  const LhsTile* lhs = static_cast<const LhsTile*>(args->lhs) + static_cast<size_t>(row / kMr) * n_blocks;
  const auto* blocks = reinterpret_cast<const typename Weights::Block*>(panel);
  float32x4_t sums[kRowPairs][kOutputPairs];
  for (int r = 0; r < kRowPairs; ++r) {
    for (int p = 0; p < kOutputPairs; ++p) sums[r][p] = vdupq_n_f32(0.0f);
  }
  for (int32_t b = 0; b < n_blocks; ++b) {
    int32x4_t dots[kRowPairs][kOutputPairs];
    dot_tile<Weights>(blocks[b], lhs[b], dots);
    float32x4_t scales[kOutputPairs];
    spread_scales(blocks[b].scale, scales);
    for (int r = 0; r < kRowPairs; ++r) {
      const float32x4_t lhs_scales = vld1q_f32(lhs[b].scale[2 * r]);
      for (int p = 0; p < kOutputPairs; ++p) {
        sums[r][p] = vfmaq_f32(sums[r][p], Weights::to_float(dots[r][p]), vmulq_f32(scales[p], lhs_scales));
      }
    }
  }
  for (int r = 0; r < n_rows; ++r) {
    const float32x4_t* pairs = sums[r / 2];
    const auto halves = r % 2 == 0 ? lower_halves : upper_halves;
    store_row_8(args, row + r, column, halves(pairs[0], pairs[1]), halves(pairs[2], pairs[3]));
  }
}

/// One row, the first of its tile: half of an smmla would be wasted, so dot products of 4 do it, two per
/// output.
template <typename Weights>
void gemv_panel(const elms_gemm_args* args, const uint8_t* panel, int32_t column, int32_t row) {
  const int32_t n_blocks = args->k / ELMS_QUANT_BLOCK;
  const LhsTile* lhs = static_cast<const LhsTile*>(args->lhs) + static_cast<size_t>(row / kMr) * n_blocks;
  const auto* blocks = reinterpret_cast<const typename Weights::Block*>(panel);
  float32x4_t low = vdupq_n_f32(0.0f);
  float32x4_t high = vdupq_n_f32(0.0f);
  for (int32_t b = 0; b < n_blocks; ++b) {
    prefetch_block<sizeof *blocks>(blocks + b);
    int32x4_t dots[kOutputPairs];
    for (int p = 0; p < kOutputPairs; ++p) dots[p] = vdupq_n_s32(0);
    for (int half = 0; half < 2; ++half) {
      int8x16_t w[2][kOutputPairs];
      Weights::load_half(blocks[b], half, w);
      for (int step = 0; step < 2; ++step) {
        const int8x8_t eight = vld1_s8(lhs[b].q[0][2 * half + step][0]);
        const int8x16_t q = vcombine_s8(eight, eight);
        for (int p = 0; p < kOutputPairs; ++p) dots[p] = vdotq_s32(dots[p], w[step][p], q);
      }
    }
    const float scale = lhs[b].scale[0][0];
    low = vfmaq_f32(low, Weights::to_float(vpaddq_s32(dots[0], dots[1])),
                    vmulq_n_f32(load_half_4(blocks[b].scale), scale));
    high = vfmaq_f32(high, Weights::to_float(vpaddq_s32(dots[2], dots[3])),
                     vmulq_n_f32(load_half_4(blocks[b].scale + 4), scale));
  }
  store_row_8(args, row, column, low, high);
}

template <typename Weights>
struct Kernel {
  static constexpr int32_t kMr = ::kMr;
  static constexpr int32_t kNr = ::kNr;
  static constexpr int32_t kLhsBlockBytes = sizeof(LhsTile) / kMr;

  static void tile(const elms_gemm_args* args, const uint8_t* panel, int32_t column, int32_t row,
                   int32_t n_rows) {
    n_rows == 1 ? gemv_panel<Weights>(args, panel, column, row)
                : gemm_tile<Weights>(args, panel, column, row, n_rows);
  }
};

}  // namespace

#endif /* ELMS_KERNELS_I8MM_GEMM_QUANT_H_ */
