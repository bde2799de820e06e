/* Quantised activations of the matrix multiplication kernels: a block of kRows rows. Every scale stands twice
 * and rows alternate in steps of 8, as 2x2 products want them; a single row is its own partner. */
#ifndef ELMS_KERNELS_I8MM_LHS_Q8_H_
#define ELMS_KERNELS_I8MM_LHS_Q8_H_

#include "kernels/neon/neon.h"

namespace {

template <int kRows>
struct LhsTile {
  static constexpr int kPairs = kRows < 2 ? 1 : kRows / 2;
  float scale[kPairs][2][2];
  int8_t q[4][kPairs][2][8];  // [step of 8 along k][pair of rows][row of the pair]

  /// Of a tile of one row.
  float only_scale() const { return scale[0][0][0]; }

  void put(int row, float row_scale, const int8x16_t values[2]) {
    put_one(row, row_scale, values);
    if (kRows == 1) put_one(1, row_scale, values);
  }

 private:
  void put_one(int row, float row_scale, const int8x16_t values[2]) {
    scale[row / 2][row % 2][0] = scale[row / 2][row % 2][1] = row_scale;
    for (int half = 0; half < 2; ++half) {
      vst1_s8(q[2 * half][row / 2][row % 2], vget_low_s8(values[half]));
      vst1_s8(q[2 * half + 1][row / 2][row % 2], vget_high_s8(values[half]));
    }
  }
};
static_assert(sizeof(LhsTile<8>) == 320 && sizeof(LhsTile<1>) == 80,
              "prepare_lhs and the GEMM agree on this");

}  // namespace

#endif /* ELMS_KERNELS_I8MM_LHS_Q8_H_ */
