// Activations as the AVX2 Q8 and Q4 kernels read them: tiles of LhsBlock, see lhs_q8.h.
#include "kernels/avx2/lhs_q8.h"
#include "kernels/declarations.h"

namespace {

uint32_t max_magnitude_bits(const __m256 x[4]) {
  // Magnitudes of floats order like their bits, NaN above infinity.
  const __m256i magnitude = _mm256_set1_epi32(0x7fffffff);
  __m256i m01 = _mm256_max_epi32(_mm256_and_si256(_mm256_castps_si256(x[0]), magnitude),
                                 _mm256_and_si256(_mm256_castps_si256(x[1]), magnitude));
  __m256i m23 = _mm256_max_epi32(_mm256_and_si256(_mm256_castps_si256(x[2]), magnitude),
                                 _mm256_and_si256(_mm256_castps_si256(x[3]), magnitude));
  const __m256i m8 = _mm256_max_epi32(m01, m23);
  __m128i m4 = _mm_max_epi32(_mm256_castsi256_si128(m8), _mm256_extracti128_si256(m8, 1));
  m4 = _mm_max_epi32(m4, _mm_shuffle_epi32(m4, 0x4e));
  m4 = _mm_max_epi32(m4, _mm_shuffle_epi32(m4, 0xb1));
  return static_cast<uint32_t>(_mm_cvtsi128_si32(m4));
}

int32_t sum_of_bytes(__m256i q) {
  const __m256i sum16 = _mm256_maddubs_epi16(_mm256_set1_epi8(1), q);
  const __m256i sum32 = _mm256_madd_epi16(sum16, _mm256_set1_epi16(1));
  __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(sum32), _mm256_extracti128_si256(sum32, 1));
  sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4e));
  sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xb1));
  return _mm_cvtsi128_si32(sum);
}

void quantise(const float* values, LhsBlock* block) {
  __m256 x[4];
  for (int i = 0; i < 4; ++i) x[i] = _mm256_loadu_ps(values + 8 * i);
  const elms_block_scale scale = elms_scale_of_max_bits(max_magnitude_bits(x));
  __m256i q = _mm256_setzero_si256();
  if (scale.inverse != 0.0f) {
    const __m256 inverse = _mm256_set1_ps(scale.inverse);
    __m256i i32[4];
    for (int i = 0; i < 4; ++i) {
      i32[i] = _mm256_cvtps_epi32(
          _mm256_round_ps(_mm256_mul_ps(x[i], inverse), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
    }
    q = _mm256_packs_epi16(_mm256_packs_epi32(i32[0], i32[1]), _mm256_packs_epi32(i32[2], i32[3]));
    q = _mm256_permutevar8x32_epi32(q,
                                    _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));  // packs work within 128 bits
  }
  block->scale = scale.scale;
  block->nibble_offset[0] = block->nibble_offset[1] = static_cast<int16_t>(-4 * sum_of_bytes(q));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(block->q), q);
}

}  // namespace

extern "C" size_t elms_lhs_q8_bytes_avx2(int32_t m, int32_t k) {
  return static_cast<size_t>(m) * static_cast<size_t>(k / ELMS_QUANT_BLOCK) * sizeof(LhsBlock);
}

extern "C" void elms_lhs_q8_avx2(const float* x, size_t x_stride, int32_t m, int32_t k, int32_t row_begin,
                                 int32_t row_end, void* lhs) {
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
