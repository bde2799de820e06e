/* GEMM and GEMV over quantised weights with the matrix multiplication instructions of ARMv8.6, shared by Q8
 * and Q4: they differ in Storage.
 *
 *   struct Storage::Block              the panel's block; `uint16_t scale[8]` comes first
 *   Storage::load(block, half, w)      w[s][p] = outputs 2 p and 2 p + 1 of the panel's half, of each the k 8
 * s .. 8 s + 7 Storage::to_float(sums)            undoes the factor that Q4's weights carry
 *
 * One smmla takes 2 rows and 2 outputs over 8 k. Sums stay 2x2 until the last block.
 */
#ifndef ELMS_KERNELS_I8MM_GEMM_QUANT_H_
#define ELMS_KERNELS_I8MM_GEMM_QUANT_H_

#include "kernels/i8mm/lhs_q8.h"
#include "kernels/neon/quant_tiles.h"

namespace {

constexpr int kOutputPairs = kNr / kHalves / 2;  // of a half

template <typename Storage>
struct PairProduct : Storage {
  using Block = typename Storage::Block;
  template <int kRows>
  using Lhs = LhsTile<kRows>;
  static constexpr int kBlocksTogether = 1;

  template <int kRows>
  static void gemm(const Block* blocks, int32_t n_blocks, int half, const Lhs<kMr>* lhs,
                   float out[kRows][4]) {
    constexpr int kRowPairs = kRows / 2;
    float32x4_t sums[kRowPairs][kOutputPairs];
#pragma GCC unroll 4
    for (int r = 0; r < kRowPairs; ++r) sums[r][0] = sums[r][1] = vdupq_n_f32(0.0f);
    for (int32_t b = 0; b < n_blocks; ++b) {
      int8x16_t w[4][kOutputPairs];
      Storage::load(blocks[b], half, w);
      // Scales of outputs 2 p and 2 p + 1 as [w0 w1 w0 w1].
      const float64x2_t scales = vreinterpretq_f64_f32(load_half_4(blocks[b].scale + 4 * half));
      const float32x4_t spread[kOutputPairs] = {vreinterpretq_f32_f64(vdupq_laneq_f64(scales, 0)),
                                                vreinterpretq_f32_f64(vdupq_laneq_f64(scales, 1))};
#pragma GCC unroll 2
      for (int first = 0; first < kRowPairs; first += 2) {
        int32x4_t dots[2][kOutputPairs];
        dots_of_2_pairs(w, lhs[b], first, dots);
        add_pair(sums[first], dots[0], spread, vld1q_f32(lhs[b].scale[first][0]));
        add_pair(sums[first + 1], dots[1], spread, vld1q_f32(lhs[b].scale[first + 1][0]));
      }
    }
#pragma GCC unroll 4
    for (int r = 0; r < kRowPairs; ++r) {
      const float64x2_t left = vreinterpretq_f64_f32(sums[r][0]);
      const float64x2_t right = vreinterpretq_f64_f32(sums[r][1]);
      vst1q_f32(out[2 * r], vreinterpretq_f32_f64(vzip1q_f64(left, right)));
      vst1q_f32(out[2 * r + 1], vreinterpretq_f32_f64(vzip2q_f64(left, right)));
    }
  }

  /// Half of an smmla would be wasted on a single row, so dot products of 4 do it, two per output.
  static void dots_of_row(const Block& block, const Lhs<1>& lhs, int32x4_t sums[kHalves]) {
    int8x16_t q[4];
    load_pair(lhs.q[0][0][0], q);
    load_pair(lhs.q[2][0][0], q + 2);
    int8x16_t w[kHalves][4][kOutputPairs];
    int32x4_t dots[kHalves][kOutputPairs];
    for (int half = 0; half < kHalves; ++half) {
      Storage::load(block, half, w[half]);
      for (int p = 0; p < kOutputPairs; ++p) dots[half][p] = vdupq_n_s32(0);
    }
    for (int step = 0; step < 4; ++step) {
      for (int half = 0; half < kHalves; ++half) {
        for (int p = 0; p < kOutputPairs; ++p)
          dots[half][p] = vdotq_s32(dots[half][p], w[half][step][p], q[step]);
      }
    }
    for (int half = 0; half < kHalves; ++half) sums[half] = vpaddq_s32(dots[half][0], dots[half][1]);
  }

 private:
  /// dots[r] = 2x2 sums of the pair of rows first + r.
  static void dots_of_2_pairs(const int8x16_t w[4][kOutputPairs], const Lhs<kMr>& lhs, int first,
                              int32x4_t dots[2][kOutputPairs]) {
    for (int r = 0; r < 2; ++r) dots[r][0] = dots[r][1] = vdupq_n_s32(0);
    for (int step = 0; step < 4; ++step) {
      int8x16_t q[2];
      load_pair(lhs.q[step][first][0], q);
      for (int r = 0; r < 2; ++r) {
        for (int p = 0; p < kOutputPairs; ++p) dots[r][p] = vmmlaq_s32(dots[r][p], q[r], w[step][p]);
      }
    }
  }

  static void add_pair(float32x4_t sums[kOutputPairs], const int32x4_t dots[kOutputPairs],
                       const float32x4_t spread[kOutputPairs], float32x4_t row_scales) {
    for (int p = 0; p < kOutputPairs; ++p) {
      sums[p] = vfmaq_f32(sums[p], Storage::to_float(dots[p]), vmulq_f32(spread[p], row_scales));
    }
  }
};

}  // namespace

#endif /* ELMS_KERNELS_I8MM_GEMM_QUANT_H_ */
