// 6 rows times 16 columns: 12 registers of sums, 2 of b, the rest for values of a.
#include "kernels/avx2/pack_transposed.h"
#include "kernels/declarations.h"

namespace {

constexpr int32_t kMr = 6;
constexpr int32_t kNr = 16;

inline void store_8(float* c, __m256 sum, bool accumulate) {
  _mm256_storeu_ps(c, accumulate ? _mm256_add_ps(_mm256_loadu_ps(c), sum) : sum);
}

template <int kRows>
void multiply_rows(const elms_tile_args* args) {
  __m256 low[kRows];   // columns 0..7
  __m256 high[kRows];  // columns 8..15
#pragma GCC unroll 6
  for (int r = 0; r < kRows; ++r) low[r] = high[r] = _mm256_setzero_ps();
  const float* a = args->a;
  const float* b = args->b;
  // 1% to 4% faster: fewer instructions of the loop's own.
#pragma GCC unroll 4
  for (int32_t k = 0; k < args->k; ++k, a += kMr, b += kNr) {
    const __m256 b_low = _mm256_load_ps(b);
    const __m256 b_high = _mm256_load_ps(b + 8);
#pragma GCC unroll 6
    for (int r = 0; r < kRows; ++r) {
      const __m256 x = _mm256_broadcast_ss(a + r);
      low[r] = _mm256_fmadd_ps(x, b_low, low[r]);
      high[r] = _mm256_fmadd_ps(x, b_high, high[r]);
    }
  }
  if (args->m == kRows && args->n == kNr) {
    float* c = args->c;
#pragma GCC unroll 6
    for (int r = 0; r < kRows; ++r, c += args->c_stride) {
      store_8(c, low[r], args->accumulate);
      store_8(c + 8, high[r], args->accumulate);
    }
    return;
  }
  float sums[kRows][kNr];
#pragma GCC unroll 6
  for (int r = 0; r < kRows; ++r) {
    _mm256_storeu_ps(sums[r], low[r]);
    _mm256_storeu_ps(sums[r] + 8, high[r]);
  }
  elms_store_tile(args, sums[0], kNr);
}

void multiply(const elms_tile_args* args) {
  if (args->m > 4) return multiply_rows<6>(args);
  if (args->m > 2) return multiply_rows<4>(args);
  multiply_rows<2>(args);
}

}  // namespace

extern "C" const elms_tile_kernel elms_tile_f32_6x16_avx2 = {"elms_tile_f32_6x16_avx2", kMr, kNr, multiply,
                                                             pack_transposed};
