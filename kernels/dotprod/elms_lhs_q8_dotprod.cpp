// Activations as the dot product Q8 and Q4 kernels read them: tiles of 4 rows, each a list of LhsTile.
#include "kernels/declarations.h"
#include "kernels/dotprod/lhs_q8.h"

extern "C" size_t elms_lhs_q8_bytes_dotprod(int32_t m, int32_t k) {
  return static_cast<size_t>(elms_ceil_div(m, kMr)) * static_cast<size_t>(k / ELMS_QUANT_BLOCK) *
         sizeof(LhsTile);
}

extern "C" void elms_lhs_q8_dotprod(const float* x, size_t x_stride, int32_t m, int32_t k, int32_t row_begin,
                                    int32_t row_end, void* lhs) {
  (void)m;
  const int32_t n_blocks = k / ELMS_QUANT_BLOCK;
  for (int32_t row = row_begin; row < elms_ceil_div(row_end, kMr) * kMr; ++row) {
    LhsTile* tiles = static_cast<LhsTile*>(lhs) + static_cast<size_t>(row / kMr) * n_blocks;
    const int32_t r = row % kMr;
    const float* values = x + static_cast<size_t>(row) * x_stride;
    for (int32_t b = 0; b < n_blocks; ++b) {
      int8x16_t q[2] = {vdupq_n_s8(0), vdupq_n_s8(0)};
      tiles[b].scale[r] =
          row < row_end ? quantise_32(values + static_cast<size_t>(b) * ELMS_QUANT_BLOCK, q) : 0.0f;
      vst1q_s8(tiles[b].q[r], q[0]);
      vst1q_s8(tiles[b].q[r] + 16, q[1]);
    }
  }
}
