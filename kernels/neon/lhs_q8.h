/* Quantised activations of the base NEON and the dot product kernels: a block of kRows rows. */
#ifndef ELMS_KERNELS_NEON_LHS_Q8_H_
#define ELMS_KERNELS_NEON_LHS_Q8_H_

#include "kernels/neon/neon.h"

namespace {

template <int kRows>
struct LhsTile {
  float scale[kRows < 4 ? 4 : kRows];  // a whole vector, even of one row
  int8_t q[2][kRows][16];              // [half of the block's k][row]

  /// Of a tile of one row.
  float only_scale() const { return scale[0]; }

  void put(int row, float row_scale, const int8x16_t values[2]) {
    scale[row] = row_scale;
    for (int half = 0; half < 2; ++half) vst1q_s8(q[half][row], values[half]);
  }
};
static_assert(sizeof(LhsTile<8>) == 288 && sizeof(LhsTile<1>) == 48,
              "prepare_lhs and the GEMM agree on this");

}  // namespace

#endif /* ELMS_KERNELS_NEON_LHS_Q8_H_ */
