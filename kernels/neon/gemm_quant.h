/* GEMM over quantised weights for instructions whose sums of 4 outputs by one row fill a register: base NEON
 * and the dot products of ARMv8.2. Q8 and Q4 and the two ISAs differ in Weights, which Tiled takes as
 * RowProduct<Weights>.
 *
 *   Weights::Block, Lhs<kRows>, to_float, dots_of_row, kBlocksTogether    as Tiled wants them
 *   Weights::load(block, half, w)                 w[8] = the weights of 4 outputs, in an order of its own
 *   Weights::dots_of_rows(w, lhs, first, sums)    sums[r] = exact integer sums of the 4 outputs with row
 * first + r, r < 4
 */
#ifndef ELMS_KERNELS_NEON_GEMM_QUANT_H_
#define ELMS_KERNELS_NEON_GEMM_QUANT_H_

#include "kernels/neon/quant_tiles.h"

namespace {

template <typename Weights>
struct RowProduct : Weights {
  using Block = typename Weights::Block;
  template <int kRows>
  using Lhs = typename Weights::template Lhs<kRows>;

  template <int kRows>
  static void gemm(const Block* blocks, int32_t n_blocks, int half, const Lhs<kMr>* lhs,
                   float out[kRows][4]) {
    float32x4_t sums[kRows];
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) sums[r] = vdupq_n_f32(0.0f);
    for (int32_t b = 0; b < n_blocks; ++b) {
      int8x16_t w[8];
      Weights::load(blocks[b], half, w);
      const float32x4_t scales = load_half_4(blocks[b].scale + 4 * half);
#pragma GCC unroll 2
      for (int first = 0; first < kRows; first += 4) {
        int32x4_t dots[4];
        Weights::dots_of_rows(w, lhs[b], first, dots);
        add_4_rows(sums + first, dots, scales, vld1q_f32(lhs[b].scale + first));
      }
    }
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) vst1q_f32(out[r], sums[r]);
  }

 private:
  static void add_4_rows(float32x4_t sums[4], const int32x4_t dots[4], float32x4_t scales,
                         float32x4_t row_scales) {
    sums[0] = vfmaq_f32(sums[0], Weights::to_float(dots[0]), vmulq_laneq_f32(scales, row_scales, 0));
    sums[1] = vfmaq_f32(sums[1], Weights::to_float(dots[1]), vmulq_laneq_f32(scales, row_scales, 1));
    sums[2] = vfmaq_f32(sums[2], Weights::to_float(dots[2]), vmulq_laneq_f32(scales, row_scales, 2));
    sums[3] = vfmaq_f32(sums[3], Weights::to_float(dots[3]), vmulq_laneq_f32(scales, row_scales, 3));
  }
};

}  // namespace

#endif /* ELMS_KERNELS_NEON_GEMM_QUANT_H_ */
