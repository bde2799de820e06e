/* GEMM over quantised weights in panels of 8 outputs without dot product instructions, shared by Q8 and Q4:
 * they differ in Weights, which loads one output's 32 weights of a block and forms 8 exact dot products of a
 * block.
 *
 *   struct Weights::Block   the panel's block; `uint16_t scale[8]` comes first
 *   Weights::dots<kRows>(block, q, sums)
 *                           sums[r][0..1] = dot products of 8 outputs with row r's activations q[r][0..1]
 */
#ifndef ELMS_KERNELS_NEON_GEMM_QUANT_H_
#define ELMS_KERNELS_NEON_GEMM_QUANT_H_

#include "kernels/gemm_loops.h"
#include "kernels/neon/lhs_q8.h"

namespace {

constexpr int32_t kMr = 4;
constexpr int32_t kNr = 8;

struct Dots {
  int32x4_t low;   // outputs 0..3
  int32x4_t high;  // outputs 4..7
};

template <typename Weights, int kRows>
void gemm_tile(const elms_gemm_args* args, const uint8_t* panel, int32_t column, int32_t row) {
  const int32_t n_blocks = args->k / ELMS_QUANT_BLOCK;
  const LhsBlock* lhs = static_cast<const LhsBlock*>(args->lhs) + static_cast<size_t>(row) * n_blocks;
  const auto* blocks = reinterpret_cast<const typename Weights::Block*>(panel);
  float32x4_t low[kRows];
  float32x4_t high[kRows];
  for (int r = 0; r < kRows; ++r) low[r] = high[r] = vdupq_n_f32(0.0f);
  for (int32_t b = 0; b < n_blocks; ++b) {
    if (kRows == 1) prefetch_block<sizeof *blocks>(blocks + b);
    int8x16_t q[kRows][2];
    for (int r = 0; r < kRows; ++r) {
      q[r][0] = vld1q_s8(lhs[r * n_blocks + b].q);
      q[r][1] = vld1q_s8(lhs[r * n_blocks + b].q + 16);
    }
    Dots dots[kRows];
    Weights::template dots<kRows>(blocks[b], q, dots);
    const float32x4_t scale_low = load_half_4(blocks[b].scale);
    const float32x4_t scale_high = load_half_4(blocks[b].scale + 4);
    for (int r = 0; r < kRows; ++r) {
      const float scale = lhs[r * n_blocks + b].scale;
      low[r] = vfmaq_f32(low[r], vcvtq_f32_s32(dots[r].low), vmulq_n_f32(scale_low, scale));
      high[r] = vfmaq_f32(high[r], vcvtq_f32_s32(dots[r].high), vmulq_n_f32(scale_high, scale));
    }
  }
  for (int r = 0; r < kRows; ++r) store_row_8(args, row + r, column, low[r], high[r]);
}

template <typename Weights>
struct Kernel {
  static constexpr int32_t kMr = ::kMr;
  static constexpr int32_t kNr = ::kNr;
  static constexpr int32_t kLhsBlockBytes = sizeof(LhsBlock);

  static void tile(const elms_gemm_args* args, const uint8_t* panel, int32_t column, int32_t row,
                   int32_t n_rows) {
    switch (n_rows) {
      case 1:
        return gemm_tile<Weights, 1>(args, panel, column, row);
      case 2:
        return gemm_tile<Weights, 2>(args, panel, column, row);
      case 3:
        return gemm_tile<Weights, 3>(args, panel, column, row);
      default:
        return gemm_tile<Weights, 4>(args, panel, column, row);
    }
  }
};

}  // namespace

#endif /* ELMS_KERNELS_NEON_GEMM_QUANT_H_ */
