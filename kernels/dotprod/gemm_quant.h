/* Exact dot products of a block with the instructions of ARMv8.2, shared by Q8 and Q4: they differ in Storage.
 *
 *   struct Storage::Block                    the panel's block; `uint16_t scale[8]` comes first
 *   Storage::load(block, half, part, w)      w[g] = 4 outputs of the panel's half, of each the k 16 part + 4 g .. + 3
 *   Storage::to_float(sums)                  undoes the factor that Q4's weights carry
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
  template <int kRows>
  using Lhs = LhsTile<kRows>;

  template <int kRows, int kTileRows>
  static void dots(const typename Storage::Block& block, int half, const LhsTile<kTileRows>& lhs,
                   int32x4_t sums[kRows]) {
    constexpr int kTogether = kRows < 4 ? kRows : 4;  // rows whose sums do not wait for each other
    for (int r = 0; r < kRows; ++r) sums[r] = vdupq_n_s32(0);
    for (int part = 0; part < 2; ++part) {
      int8x16_t w[4];
      Storage::load(block, half, part, w);
      for (int first = 0; first < kRows; first += kTogether) {
        int8x16_t q[kTogether];
        for (int r = 0; r < kTogether; ++r) q[r] = vld1q_s8(lhs.q[part][first + r]);
        for (int r = 0; r < kTogether; ++r) sums[first + r] = vdotq_laneq_s32(sums[first + r], w[0], q[r], 0);
        for (int r = 0; r < kTogether; ++r) sums[first + r] = vdotq_laneq_s32(sums[first + r], w[1], q[r], 1);
        for (int r = 0; r < kTogether; ++r) sums[first + r] = vdotq_laneq_s32(sums[first + r], w[2], q[r], 2);
        for (int r = 0; r < kTogether; ++r) sums[first + r] = vdotq_laneq_s32(sums[first + r], w[3], q[r], 3);
      }
    }
  }
};

}  // namespace

#endif /* ELMS_KERNELS_DOTPROD_GEMM_QUANT_H_ */
