/* GEMM and GEMV over quantised weights with the matrix multiplication instructions of ARMv8.6, shared by Q8 and Q4: they
 * differ in Storage.
 *
 *   struct Storage::Block                  the panel's block; `uint16_t scale[8]` comes first
 *   Storage::load(block, half, part, w)    w[s][p] = outputs 2 p and 2 p + 1 of the panel's half, of each the
 *                                          k 16 part + 8 s .. + 7
 *   Storage::to_float(sums)                undoes the factor that Q4's weights carry
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
struct PairProduct {
  using Block = typename Storage::Block;
  template <int kRows>
  using Lhs = LhsTile<kRows>;

  template <int kRows>
  static void gemm(const elms_gemm_args* args, const Block* blocks, int half, const Lhs<kMr>* lhs, int32_t column,
                   int32_t row, int32_t n_rows) {
    constexpr int kRowPairs = kRows / 2;
    float32x4_t sums[kRowPairs][kOutputPairs];
    for (int r = 0; r < kRowPairs; ++r) {
      for (int p = 0; p < kOutputPairs; ++p) sums[r][p] = vdupq_n_f32(0.0f);
    }
    const int32_t n_blocks = args->k / ELMS_QUANT_BLOCK;
    for (int32_t b = 0; b < n_blocks; ++b) {
      int32x4_t dots[kRowPairs][kOutputPairs];
      dots_of_rows<kRowPairs>(blocks[b], half, lhs[b], dots);
      // Scales of outputs 2 p and 2 p + 1 as [w0 w1 w0 w1].
      const float64x2_t scales = vreinterpretq_f64_f32(load_half_4(blocks[b].scale + 4 * half));
      const float32x4_t spread[kOutputPairs] = {vreinterpretq_f32_f64(vdupq_laneq_f64(scales, 0)),
                                                vreinterpretq_f32_f64(vdupq_laneq_f64(scales, 1))};
      for (int r = 0; r < kRowPairs; ++r) {
        const float32x4_t row_scales = vld1q_f32(lhs[b].scale[r][0]);
        for (int p = 0; p < kOutputPairs; ++p) {
          sums[r][p] = vfmaq_f32(sums[r][p], Storage::to_float(dots[r][p]), vmulq_f32(spread[p], row_scales));
        }
      }
    }
    for (int r = 0; r < kRowPairs && 2 * r < n_rows; ++r) {
      const float64x2_t first = vreinterpretq_f64_f32(sums[r][0]);
      const float64x2_t second = vreinterpretq_f64_f32(sums[r][1]);
      store_row_4(args, row + 2 * r, column, vreinterpretq_f32_f64(vzip1q_f64(first, second)));
      if (2 * r + 1 == n_rows) break;
      store_row_4(args, row + 2 * r + 1, column, vreinterpretq_f32_f64(vzip2q_f64(first, second)));
    }
  }

  /// Half of an smmla would be wasted on a single row, so dot products of 4 do it, two per output.
  static void gemv(const elms_gemm_args* args, const Block* blocks, const Lhs<1>* lhs, int32_t column) {
    float32x4_t sums[kHalves] = {vdupq_n_f32(0.0f), vdupq_n_f32(0.0f)};
    const int32_t n_blocks = args->k / ELMS_QUANT_BLOCK;
    for (int32_t b = 0; b < n_blocks; ++b) {
      prefetch_block<sizeof(Block)>(blocks + b);
      int8x16_t q[4];
      for (int step = 0; step < 4; ++step) q[step] = vld1q_s8(lhs[b].q[step][0][0]);
      for (int half = 0; half < kHalves; ++half) {
        const float32x4_t scales = vmulq_n_f32(load_half_4(blocks[b].scale + 4 * half), lhs[b].scale[0][0][0]);
        sums[half] = vfmaq_f32(sums[half], Storage::to_float(dots_of_row(blocks[b], half, q)), scales);
      }
    }
    store_row_8(args, 0, column, sums[0], sums[1]);
  }

 private:
  template <int kRowPairs>
  static void dots_of_rows(const Block& block, int half, const Lhs<kMr>& lhs,
                           int32x4_t dots[kRowPairs][kOutputPairs]) {
    for (int r = 0; r < kRowPairs; ++r) {
      for (int p = 0; p < kOutputPairs; ++p) dots[r][p] = vdupq_n_s32(0);
    }
    for (int part = 0; part < 2; ++part) {
      int8x16_t w[2][kOutputPairs];
      Storage::load(block, half, part, w);
      for (int step = 0; step < 2; ++step) {
        int8x16_t q[kRowPairs];
        for (int r = 0; r < kRowPairs; ++r) q[r] = vld1q_s8(lhs.q[2 * part + step][r][0]);
        for (int r = 0; r < kRowPairs; ++r) {
          for (int p = 0; p < kOutputPairs; ++p) dots[r][p] = vmmlaq_s32(dots[r][p], q[r], w[step][p]);
        }
      }
    }
  }

  /// q[s] is the row's k 8 s .. + 7, twice.
  static int32x4_t dots_of_row(const Block& block, int half, const int8x16_t q[4]) {
    int32x4_t dots[kOutputPairs];
    for (int p = 0; p < kOutputPairs; ++p) dots[p] = vdupq_n_s32(0);
    for (int part = 0; part < 2; ++part) {
      int8x16_t w[2][kOutputPairs];
      Storage::load(block, half, part, w);
      for (int step = 0; step < 2; ++step) {
        for (int p = 0; p < kOutputPairs; ++p) dots[p] = vdotq_s32(dots[p], w[step][p], q[2 * part + step]);
      }
    }
    return vpaddq_s32(dots[0], dots[1]);
  }
};

}  // namespace

#endif /* ELMS_KERNELS_I8MM_GEMM_QUANT_H_ */
