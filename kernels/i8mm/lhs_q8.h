/* Quantised activations of the matrix multiplication kernels: tiles of 4 rows, block after block. Every scale
 * stands twice and rows alternate in steps of 8, as 2x2 products want them. */
#ifndef ELMS_KERNELS_I8MM_LHS_Q8_H_
#define ELMS_KERNELS_I8MM_LHS_Q8_H_

#include "kernels/neon/neon.h"

namespace {

constexpr int32_t kMr = 4;

struct LhsTile {
  float scale[kMr][2];
  int8_t q[2][4][2][8];  // [pair of rows][step of 8 along k][row of the pair][k]
};
static_assert(sizeof(LhsTile) == 160, "prepare_lhs and the GEMM agree on this");

}  // namespace

#endif /* ELMS_KERNELS_I8MM_LHS_Q8_H_ */
