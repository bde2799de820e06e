// Activations as the base NEON Q8 and Q4 kernels read them: row after row of LhsBlock.
#include "kernels/declarations.h"
#include "kernels/neon/lhs_q8.h"

extern "C" size_t elms_lhs_q8_bytes_neon(int32_t m, int32_t k) {
  return static_cast<size_t>(m) * static_cast<size_t>(k / ELMS_QUANT_BLOCK) * sizeof(LhsBlock);
}

extern "C" void elms_lhs_q8_neon(const float* x, size_t x_stride, int32_t m, int32_t k, int32_t row_begin,
                                 int32_t row_end, void* lhs) {
  (void)m;
  const int32_t n_blocks = k / ELMS_QUANT_BLOCK;
  for (int32_t row = row_begin; row < row_end; ++row) {
    LhsBlock* blocks = static_cast<LhsBlock*>(lhs) + static_cast<size_t>(row) * n_blocks;
    const float* values = x + static_cast<size_t>(row) * x_stride;
    for (int32_t b = 0; b < n_blocks; ++b) {
      int8x16_t q[2];
      blocks[b].scale = quantise_32(values + static_cast<size_t>(b) * ELMS_QUANT_BLOCK, q);
      vst1q_s8(blocks[b].q, q[0]);
      vst1q_s8(blocks[b].q + 16, q[1]);
    }
  }
}
