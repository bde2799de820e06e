// Activations as the scalar Q8 and Q4 kernels read them: row after row, each a list of {float scale; int8
// q[32]}.
#include "kernels/declarations.h"
#include "kernels/scalar/lhs_q8.h"

extern "C" size_t elms_lhs_q8_bytes_scalar(int32_t m, int32_t k) {
  return static_cast<size_t>(m) * static_cast<size_t>(k / ELMS_QUANT_BLOCK) * sizeof(LhsBlock);
}

extern "C" void elms_lhs_q8_scalar(const float* x, size_t x_stride, int32_t m, int32_t k, int32_t row_begin,
                                   int32_t row_end, void* lhs) {
  (void)m;
  const int32_t n_blocks = k / ELMS_QUANT_BLOCK;
  for (int32_t row = row_begin; row < row_end; ++row) {
    LhsBlock* blocks = static_cast<LhsBlock*>(lhs) + static_cast<size_t>(row) * n_blocks;
    for (int32_t b = 0; b < n_blocks; ++b) {
      const float* values =
          x + static_cast<size_t>(row) * x_stride + static_cast<size_t>(b) * ELMS_QUANT_BLOCK;
      blocks[b].scale = elms_quantise_block(values, blocks[b].q);
    }
  }
}
