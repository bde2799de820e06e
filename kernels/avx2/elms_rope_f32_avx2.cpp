#include "kernels/avx2/avx2.h"
#include "kernels/declarations.h"

namespace {

void rotate_pair(float* first, float* second, float cosine, float sine) {
  const float a = *first;
  const float b = *second;
  *first = a * cosine - b * sine;
  *second = a * sine + b * cosine;
}

/// Four cosines or sines, each in both lanes of its pair.
__m256 duplicate_4(const float* x) {
  const __m128 four = _mm_loadu_ps(x);
  return _mm256_set_m128(_mm_unpackhi_ps(four, four), _mm_unpacklo_ps(four, four));
}

void rotate_interleaved(float* x, const float* cosine, const float* sine, int32_t n_pairs) {
  int32_t i = 0;
  for (; i + 4 <= n_pairs; i += 4) {
    const __m256 pairs = _mm256_loadu_ps(x + 2 * i);
    const __m256 swapped = _mm256_permute_ps(pairs, 0xb1);
    // Even lanes a cos - b sin, odd lanes b cos + a sin.
    const __m256 rotated =
        _mm256_fmaddsub_ps(pairs, duplicate_4(cosine + i), _mm256_mul_ps(swapped, duplicate_4(sine + i)));
    _mm256_storeu_ps(x + 2 * i, rotated);
  }
  for (; i < n_pairs; ++i) rotate_pair(x + 2 * i, x + 2 * i + 1, cosine[i], sine[i]);
}

void rotate_halves(float* x, const float* cosine, const float* sine, int32_t n_pairs) {
  int32_t i = 0;
  for (; i + 8 <= n_pairs; i += 8) {
    const __m256 a = _mm256_loadu_ps(x + i);
    const __m256 b = _mm256_loadu_ps(x + n_pairs + i);
    const __m256 c = _mm256_loadu_ps(cosine + i);
    const __m256 s = _mm256_loadu_ps(sine + i);
    _mm256_storeu_ps(x + i, _mm256_fmsub_ps(a, c, _mm256_mul_ps(b, s)));
    _mm256_storeu_ps(x + n_pairs + i, _mm256_fmadd_ps(b, c, _mm256_mul_ps(a, s)));
  }
  for (; i < n_pairs; ++i) rotate_pair(x + i, x + n_pairs + i, cosine[i], sine[i]);
}

}  // namespace

extern "C" void elms_rope_f32_avx2(float* x, const float* cosine, const float* sine, int32_t n_rot,
                                   elms_rope_style style) {
  const auto rotate = style == ELMS_ROPE_INTERLEAVED ? rotate_interleaved : rotate_halves;
  rotate(x, cosine, sine, n_rot / 2);
}
