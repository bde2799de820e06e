/* Quantised activations of the dot product kernels: tiles of 4 rows, block after block. */
#ifndef ELMS_KERNELS_DOTPROD_LHS_Q8_H_
#define ELMS_KERNELS_DOTPROD_LHS_Q8_H_

#include "kernels/neon/neon.h"

namespace {

constexpr int32_t kMr = 4;

struct LhsTile {
  float scale[kMr];
  int8_t q[kMr][ELMS_QUANT_BLOCK];
};
static_assert(sizeof(LhsTile) == 144, "prepare_lhs and the GEMM agree on this");

}  // namespace

#endif /* ELMS_KERNELS_DOTPROD_LHS_Q8_H_ */
