/* Quantisation of one block of 32 activations, with the sum that weights stored with an offset need. */
#ifndef ELMS_KERNELS_AVX2_QUANTISE_H_
#define ELMS_KERNELS_AVX2_QUANTISE_H_

#include "kernels/avx2/avx2.h"

namespace {

inline uint32_t max_magnitude_bits(const __m256 x[4]) {
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

inline int32_t sum_of_bytes(__m256i q) {
  const __m256i sum16 = _mm256_maddubs_epi16(_mm256_set1_epi8(1), q);
  const __m256i sum32 = _mm256_madd_epi16(sum16, _mm256_set1_epi16(1));
  __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(sum32), _mm256_extracti128_si256(sum32, 1));
  sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4e));
  sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xb1));
  return _mm_cvtsi128_si32(sum);
}

struct QuantisedBlock {
  __m256i q;  // 32 int8
  float scale;
  int32_t sum;  // of q
};

inline QuantisedBlock quantise_block(const float* values) {
  __m256 x[4];
  for (int i = 0; i < 4; ++i) x[i] = _mm256_loadu_ps(values + 8 * i);
  const elms_block_scale scale = elms_scale_of_max_bits(max_magnitude_bits(x));
  if (scale.inverse == 0.0f) return {_mm256_setzero_si256(), scale.scale, 0};
  const __m256 inverse = _mm256_set1_ps(scale.inverse);
  __m256i i32[4];
  for (int i = 0; i < 4; ++i) {
    i32[i] = _mm256_cvtps_epi32(
        _mm256_round_ps(_mm256_mul_ps(x[i], inverse), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  }
  __m256i q = _mm256_packs_epi16(_mm256_packs_epi32(i32[0], i32[1]), _mm256_packs_epi32(i32[2], i32[3]));
  // Packs work within 128 bits.
  q = _mm256_permutevar8x32_epi32(q, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
  return {q, scale.scale, sum_of_bytes(q)};
}

}  // namespace

#endif /* ELMS_KERNELS_AVX2_QUANTISE_H_ */
