/* GEMM and GEMV over quantised weights for instructions whose sums of 4 outputs by one row fill a register: base NEON
 * and the dot products of ARMv8.2. Q8 and Q4 and the two ISAs differ in Weights.
 *
 *   struct Weights::Block      the panel's block; `uint16_t scale[8]` comes first
 *   Weights::Lhs<kRows>        a block of kRows rows of activations; `float scale[]` comes first
 *   Weights::dots<kRows>(block, half, lhs, sums)
 *                              sums[r] = exact integer sums of 4 outputs of the panel's half with row r
 *   Weights::to_float(sums)    undoes the factor that they carry
 */
#ifndef ELMS_KERNELS_NEON_GEMM_QUANT_H_
#define ELMS_KERNELS_NEON_GEMM_QUANT_H_

#include "kernels/neon/quant_tiles.h"

namespace {

template <typename Weights>
struct RowProduct {
  using Block = typename Weights::Block;
  template <int kRows>
  using Lhs = typename Weights::template Lhs<kRows>;

  template <int kRows>
  static void gemm(const elms_gemm_args* args, const Block* blocks, int half, const Lhs<kMr>* lhs, int32_t column,
                   int32_t row, int32_t n_rows) {
    float32x4_t sums[kRows];
    for (int r = 0; r < kRows; ++r) sums[r] = vdupq_n_f32(0.0f);
    const int32_t n_blocks = args->k / ELMS_QUANT_BLOCK;
    for (int32_t b = 0; b < n_blocks; ++b) {
      int32x4_t dots[kRows];
      Weights::template dots<kRows>(blocks[b], half, lhs[b], dots);
      const float32x4_t scales = load_half_4(blocks[b].scale + 4 * half);
      for (int r = 0; r < kRows; r += 4) add_4_rows(sums + r, dots + r, scales, vld1q_f32(lhs[b].scale + r));
    }
    for (int r = 0; r < kRows && r < n_rows; ++r) store_row_4(args, row + r, column, sums[r]);
  }

  static void gemv(const elms_gemm_args* args, const Block* blocks, const Lhs<1>* lhs, int32_t column) {
    float32x4_t sums[kHalves] = {vdupq_n_f32(0.0f), vdupq_n_f32(0.0f)};
    const int32_t n_blocks = args->k / ELMS_QUANT_BLOCK;
    int32_t b = 0;
    // Two blocks at a time, whose integer sums do not wait for each other.
    for (; b + 2 <= n_blocks; b += 2) {
      prefetch_block<2 * sizeof(Block)>(blocks + b);
      int32x4_t first[kHalves];
      int32x4_t second[kHalves];
      dots_8(blocks[b], lhs[b], first);
      dots_8(blocks[b + 1], lhs[b + 1], second);
      add_8(sums, first, blocks[b], lhs[b]);
      add_8(sums, second, blocks[b + 1], lhs[b + 1]);
    }
    if (b < n_blocks) {
      int32x4_t last[kHalves];
      dots_8(blocks[b], lhs[b], last);
      add_8(sums, last, blocks[b], lhs[b]);
    }
    store_row_8(args, 0, column, sums[0], sums[1]);
  }

 private:
  static void add_4_rows(float32x4_t sums[4], const int32x4_t dots[4], float32x4_t scales, float32x4_t row_scales) {
    sums[0] = vfmaq_f32(sums[0], Weights::to_float(dots[0]), vmulq_laneq_f32(scales, row_scales, 0));
    sums[1] = vfmaq_f32(sums[1], Weights::to_float(dots[1]), vmulq_laneq_f32(scales, row_scales, 1));
    sums[2] = vfmaq_f32(sums[2], Weights::to_float(dots[2]), vmulq_laneq_f32(scales, row_scales, 2));
    sums[3] = vfmaq_f32(sums[3], Weights::to_float(dots[3]), vmulq_laneq_f32(scales, row_scales, 3));
  }

  static void dots_8(const Block& block, const Lhs<1>& lhs, int32x4_t dots[kHalves]) {
    for (int half = 0; half < kHalves; ++half) Weights::template dots<1>(block, half, lhs, dots + half);
  }

  static void add_8(float32x4_t sums[kHalves], const int32x4_t dots[kHalves], const Block& block, const Lhs<1>& lhs) {
    for (int half = 0; half < kHalves; ++half) {
      const float32x4_t scales = vmulq_n_f32(load_half_4(block.scale + 4 * half), lhs.scale[0]);
      sums[half] = vfmaq_f32(sums[half], Weights::to_float(dots[half]), scales);
    }
  }
};

}  // namespace

#endif /* ELMS_KERNELS_NEON_GEMM_QUANT_H_ */
