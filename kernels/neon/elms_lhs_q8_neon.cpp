// Activations as the base NEON Q8 and Q4 kernels read them: tiles of LhsTile.
#include "kernels/declarations.h"
#include "kernels/neon/lhs_q8.h"
#include "kernels/neon/quant_tiles.h"

extern "C" size_t elms_lhs_q8_bytes_neon(int32_t m, int32_t k) {
  return lhs_tiles_bytes<LhsTile>(m, k);
}

extern "C" void elms_lhs_q8_neon(const float* x, size_t x_stride, int32_t m, int32_t k, int32_t row_begin,
                                 int32_t row_end, void* lhs) {
  prepare_lhs_tiles<LhsTile>(x, x_stride, m, k, row_begin, row_end, lhs);
}
