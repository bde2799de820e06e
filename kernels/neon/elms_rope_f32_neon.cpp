#include "kernels/declarations.h"
#include "kernels/neon/neon.h"

namespace {

void rotate_pair(float* first, float* second, float cosine, float sine) {
  const float a = *first;
  const float b = *second;
  *first = a * cosine - b * sine;
  *second = a * sine + b * cosine;
}

struct Pairs {
  float32x4_t first;
  float32x4_t second;
};

Pairs rotate_4(float32x4_t a, float32x4_t b, const float* cosine, const float* sine) {
  const float32x4_t c = vld1q_f32(cosine);
  const float32x4_t s = vld1q_f32(sine);
  return {vfmsq_f32(vmulq_f32(a, c), b, s), vfmaq_f32(vmulq_f32(a, s), b, c)};
}

void rotate_interleaved(float* x, const float* cosine, const float* sine, int32_t n_pairs) {
  int32_t i = 0;
  for (; i + 4 <= n_pairs; i += 4) {
    const float32x4x2_t split = vld2q_f32(x + 2 * i);
    const Pairs rotated = rotate_4(split.val[0], split.val[1], cosine + i, sine + i);
    vst2q_f32(x + 2 * i, (float32x4x2_t{{rotated.first, rotated.second}}));
  }
  for (; i < n_pairs; ++i) rotate_pair(x + 2 * i, x + 2 * i + 1, cosine[i], sine[i]);
}

void rotate_halves(float* x, const float* cosine, const float* sine, int32_t n_pairs) {
  int32_t i = 0;
  for (; i + 4 <= n_pairs; i += 4) {
    const Pairs rotated = rotate_4(vld1q_f32(x + i), vld1q_f32(x + n_pairs + i), cosine + i, sine + i);
    vst1q_f32(x + i, rotated.first);
    vst1q_f32(x + n_pairs + i, rotated.second);
  }
  for (; i < n_pairs; ++i) rotate_pair(x + i, x + n_pairs + i, cosine[i], sine[i]);
}

}  // namespace

extern "C" void elms_rope_f32_neon(float* x, const float* cosine, const float* sine, int32_t n_rot,
                                   elms_rope_style style) {
  const auto rotate = style == ELMS_ROPE_INTERLEAVED ? rotate_interleaved : rotate_halves;
  rotate(x, cosine, sine, n_rot / 2);
}
