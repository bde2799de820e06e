/* Quantised activations of the base NEON kernels: row after row of these blocks. */
#ifndef ELMS_KERNELS_NEON_LHS_Q8_H_
#define ELMS_KERNELS_NEON_LHS_Q8_H_

#include "kernels/neon/neon.h"

namespace {

struct LhsBlock {
  float scale;
  int8_t q[ELMS_QUANT_BLOCK];
};
static_assert(sizeof(LhsBlock) == 36, "prepare_lhs and the GEMM agree on this");

}  // namespace

#endif /* ELMS_KERNELS_NEON_LHS_Q8_H_ */
