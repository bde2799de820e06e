// 12 rows times 32 columns: 24 registers of sums, 2 of b, the rest for values of a.
#include <immintrin.h>

#include "kernels/avx2/pack_transposed.h"
#include "kernels/declarations.h"

namespace {

constexpr int32_t kMr = 12;
constexpr int32_t kNr = 32;

inline void store_16(float* c, __m512 sum, __mmask16 columns, bool accumulate) {
  if (accumulate) sum = _mm512_add_ps(_mm512_maskz_loadu_ps(columns, c), sum);
  _mm512_mask_storeu_ps(c, columns, sum);
}

inline __mmask16 first_columns(int32_t n) {
  return static_cast<__mmask16>(n >= 16 ? 0xffff : n <= 0 ? 0 : (1 << n) - 1);
}

template <int kRows>
void multiply_rows(const elms_tile_args* args) {
  __m512 low[kRows];   // columns 0..15
  __m512 high[kRows];  // columns 16..31
#pragma GCC unroll 12
  for (int r = 0; r < kRows; ++r) low[r] = high[r] = _mm512_setzero_ps();
  const float* a = args->a;
  const float* b = args->b;
  for (int32_t k = 0; k < args->k; ++k, a += kMr, b += kNr) {
    const __m512 b_low = _mm512_load_ps(b);
    const __m512 b_high = _mm512_load_ps(b + 16);
#pragma GCC unroll 12
    for (int r = 0; r < kRows; ++r) {
      const __m512 x = _mm512_set1_ps(a[r]);
      low[r] = _mm512_fmadd_ps(x, b_low, low[r]);
      high[r] = _mm512_fmadd_ps(x, b_high, high[r]);
    }
  }
  const __mmask16 low_columns = first_columns(args->n), high_columns = first_columns(args->n - 16);
  float* c = args->c;
#pragma GCC unroll 12
  for (int r = 0; r < kRows; ++r, c += args->c_stride) {
    if (r >= args->m) return;
    store_16(c, low[r], low_columns, args->accumulate);
    if (high_columns != 0) store_16(c + 16, high[r], high_columns, args->accumulate);
  }
}

void multiply(const elms_tile_args* args) {
  if (args->m > 8) return multiply_rows<12>(args);
  if (args->m > 4) return multiply_rows<8>(args);
  multiply_rows<4>(args);
}

}  // namespace

extern "C" const elms_tile_kernel elms_tile_f32_12x32_avx512vnni = {"elms_tile_f32_12x32_avx512vnni", kMr,
                                                                    kNr, multiply, pack_transposed};
