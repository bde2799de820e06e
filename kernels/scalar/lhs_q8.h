/* One block of quantised activations of the scalar kernels. */
#ifndef ELMS_KERNELS_SCALAR_LHS_Q8_H_
#define ELMS_KERNELS_SCALAR_LHS_Q8_H_

#include "kernels/common.h"

namespace {

struct LhsBlock {
  float scale;
  int8_t q[ELMS_QUANT_BLOCK];
};

}  // namespace

#endif /* ELMS_KERNELS_SCALAR_LHS_Q8_H_ */
