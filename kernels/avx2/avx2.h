/* What the AVX2 kernels share: lane helpers and how finished sums are stored. Only files built
 * with -mavx2 -mfma -mf16c include it.
 */
#ifndef ELMS_KERNELS_AVX2_AVX2_H_
#define ELMS_KERNELS_AVX2_AVX2_H_

#include <immintrin.h>

#include "kernels/common.h"

namespace {

inline __m256 widen_scales(const uint16_t* scales) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(scales)));
}

/// Four activations in every output's four bytes.
inline __m256i broadcast_4(const void* bytes) {
  int32_t word;
  memcpy(&word, bytes, sizeof word);
  return _mm256_set1_epi32(word);
}

inline __m256i load_256(const void* address) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(address));
}

/// Compilers may reorder sums, and then keep more of them than there are registers. A sum that passes here is
/// made in the order that is written.
inline void in_order(__m256i* sum) {
#if defined(__GNUC__)
  asm("" : "+x"(*sum));
#endif
}

/// Keeps compilers from loading what lies there before this point: they would do so once for all rows, and
/// then need more registers than there are.
template <typename T>
inline void reload(const T* address) {
#if defined(__GNUC__)
  asm volatile("" : : "r"(address) : "memory");
#endif
}

/// Sums of 8 outputs of one row from `column` on, as many as the matrix has.
inline void store_row_8(const elms_gemm_args* args, int32_t row, int32_t column, __m256 sum) {
  float* dst = args->dst + static_cast<size_t>(row) * args->dst_stride + column;
  if (args->n - column >= 8) {
    if (args->bias != nullptr) sum = _mm256_add_ps(sum, _mm256_loadu_ps(args->bias + column));
    if (args->accumulate) sum = _mm256_add_ps(_mm256_loadu_ps(dst), sum);
    _mm256_storeu_ps(dst, sum);
    return;
  }
  float values[8];
  _mm256_storeu_ps(values, sum);
  for (int32_t i = 0; i < args->n - column; ++i) elms_store_output(args, row, column + i, values[i]);
}

}  // namespace

#endif /* ELMS_KERNELS_AVX2_AVX2_H_ */
