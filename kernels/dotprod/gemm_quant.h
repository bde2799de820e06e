/* Exact dot products of a block with the instructions of ARMv8.2, shared by Q8 and Q4: they differ in
 * Storage.
 *
 *   struct Storage::Block              the panel's block; `uint16_t scale[8]` comes first
 *   Storage::load(block, half, w)      w[g] = 4 outputs of the panel's half, of each the k 4 g .. 4 g + 3
 *   Storage::to_float(sums)            undoes the factor that Q4's weights carry
 *
 * One sdot takes 4 outputs by 4 k with the 4 k of one row, a lane of its register.
 */
#ifndef ELMS_KERNELS_DOTPROD_GEMM_QUANT_H_
#define ELMS_KERNELS_DOTPROD_GEMM_QUANT_H_

#include "kernels/neon/gemm_quant.h"
#include "kernels/neon/lhs_q8.h"

namespace {

template <typename Storage>
struct DotWeights : Storage {
  using Block = typename Storage::Block;
  template <int kRows>
  using Lhs = LhsTile<kRows>;
  static constexpr int kBlocksTogether = 2;

  static void dots_of_rows(const int8x16_t w[8], const Lhs<kMr>& lhs, int first, int32x4_t sums[4]) {
    for (int r = 0; r < 4; ++r) sums[r] = vdupq_n_s32(0);
    for (int part = 0; part < 2; ++part) {
      int8x16_t q[4];
      load_pair(lhs.q[part][first], q);
      load_pair(lhs.q[part][first + 2], q + 2);
      for (int r = 0; r < 4; ++r) sums[r] = vdotq_laneq_s32(sums[r], w[4 * part], q[r], 0);
      for (int r = 0; r < 4; ++r) sums[r] = vdotq_laneq_s32(sums[r], w[4 * part + 1], q[r], 1);
      for (int r = 0; r < 4; ++r) sums[r] = vdotq_laneq_s32(sums[r], w[4 * part + 2], q[r], 2);
      for (int r = 0; r < 4; ++r) sums[r] = vdotq_laneq_s32(sums[r], w[4 * part + 3], q[r], 3);
    }
  }

  static void dots_of_row(const Block& block, const Lhs<1>& lhs, int32x4_t sums[kHalves]) {
    int8x16_t q[2];
    load_pair(lhs.q[0][0], q);
    int8x16_t w[kHalves][8];
    for (int half = 0; half < kHalves; ++half) {
      Storage::load(block, half, w[half]);
      sums[half] = vdupq_n_s32(0);
    }
    for (int part = 0; part < 2; ++part) {
      for (int half = 0; half < kHalves; ++half)
        sums[half] = vdotq_laneq_s32(sums[half], w[half][4 * part], q[part], 0);
      for (int half = 0; half < kHalves; ++half)
        sums[half] = vdotq_laneq_s32(sums[half], w[half][4 * part + 1], q[part], 1);
      for (int half = 0; half < kHalves; ++half)
        sums[half] = vdotq_laneq_s32(sums[half], w[half][4 * part + 2], q[part], 2);
      for (int half = 0; half < kHalves; ++half)
        sums[half] = vdotq_laneq_s32(sums[half], w[half][4 * part + 3], q[part], 3);
    }
  }
};

}  // namespace

#endif /* ELMS_KERNELS_DOTPROD_GEMM_QUANT_H_ */
