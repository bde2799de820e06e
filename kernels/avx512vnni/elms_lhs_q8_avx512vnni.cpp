// Activations as the AVX-512 VNNI Q8 and Q4 kernels read them: tiles of LhsBlock, see lhs_q8.h.
#include "kernels/avx2/quantise.h"
#include "kernels/avx512vnni/lhs_q8.h"
#include "kernels/declarations.h"

namespace {

void quantise(const float* values, LhsBlock* block) {
  const QuantisedBlock quantised = quantise_block(values);
  block->scale = quantised.scale;
  block->q8_start = -128 * quantised.sum;
  block->q4_start = -8 * quantised.sum;
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(block->q), quantised.q);
}

}  // namespace

extern "C" size_t elms_lhs_q8_bytes_avx512vnni(int32_t m, int32_t k) {
  return static_cast<size_t>(m) * static_cast<size_t>(k / ELMS_QUANT_BLOCK) * sizeof(LhsBlock);
}

extern "C" void elms_lhs_q8_avx512vnni(const float* x, size_t x_stride, int32_t m, int32_t k,
                                       int32_t row_begin, int32_t row_end, void* lhs) {
  const int32_t n_blocks = k / ELMS_QUANT_BLOCK;
  for (int32_t row = row_begin; row < row_end; ++row) {
    const int32_t tile = row / kMr * kMr;
    const int32_t tile_rows = elms_min_i32(kMr, m - tile);
    LhsBlock* block = static_cast<LhsBlock*>(lhs) + tile_offset(tile, n_blocks) + (row - tile);
    const float* values = x + static_cast<size_t>(row) * x_stride;
    for (int32_t b = 0; b < n_blocks; ++b, block += tile_rows) {
      quantise(values + static_cast<size_t>(b) * ELMS_QUANT_BLOCK, block);
    }
  }
}
