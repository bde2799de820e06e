// Activations as the AVX2 Q8 and Q4 kernels read them, see lhs_q8.h.
#include "kernels/avx2/lhs_q8.h"
#include "kernels/avx2/quantise.h"
#include "kernels/declarations.h"

namespace {

inline void store_bytes(void* address, __m256i bytes) {
  _mm256_storeu_si256(static_cast<__m256i*>(address), bytes);
}

inline int32_t sum_of_unsigned(__m256i bytes) {
  const __m256i sum64 = _mm256_sad_epu8(bytes, _mm256_setzero_si256());
  const __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(sum64), _mm256_extracti128_si256(sum64, 1));
  return _mm_cvtsi128_si32(_mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4e)));
}

void quantise(const float* values, LhsBlock* block, SplitBlock* split) {
  const QuantisedBlock quantised = quantise_block(values);
  block->scale = split->scale = quantised.scale;
  block->nibble_offset[0] = block->nibble_offset[1] = static_cast<int16_t>(-4 * quantised.sum);
  store_bytes(block->q, quantised.q);
  const __m256i magnitude = _mm256_abs_epi8(quantised.q);
  const __m256i sign = _mm256_cmpgt_epi8(_mm256_setzero_si256(), quantised.q);
  store_bytes(split->magnitude, magnitude);
  store_bytes(split->sign, sign);
  split->negative = sum_of_unsigned(_mm256_and_si256(magnitude, sign));
}

}  // namespace

extern "C" size_t elms_lhs_q8_bytes_avx2(int32_t m, int32_t k) {
  const int32_t n_blocks = k / ELMS_QUANT_BLOCK;
  return lhs_blocks_bytes(m, n_blocks) + static_cast<size_t>(m) * n_blocks * sizeof(SplitBlock);
}

extern "C" void elms_lhs_q8_avx2(const float* x, size_t x_stride, int32_t m, int32_t k, int32_t row_begin,
                                 int32_t row_end, void* lhs) {
  const int32_t n_blocks = k / ELMS_QUANT_BLOCK;
  LhsBlock* blocks = static_cast<LhsBlock*>(lhs);
  SplitBlock* splits =
      reinterpret_cast<SplitBlock*>(static_cast<uint8_t*>(lhs) + lhs_blocks_bytes(m, n_blocks));
  for (int32_t row = row_begin; row < row_end; ++row) {
    const int32_t tile = row / kMr * kMr;
    const int32_t tile_rows = elms_min_i32(kMr, m - tile);
    size_t at = tile_offset(tile, n_blocks) + (row - tile);
    const float* values = x + static_cast<size_t>(row) * x_stride;
    for (int32_t b = 0; b < n_blocks; ++b, at += tile_rows) {
      quantise(values + static_cast<size_t>(b) * ELMS_QUANT_BLOCK, blocks + at, splits + at);
    }
  }
}
