// Reference rotary embedding of one head.
#include "kernels/common.h"
#include "kernels/declarations.h"

extern "C" void elms_rope_f32_scalar(float* x, const float* cosine, const float* sine, int32_t n_rot,
                                     elms_rope_style style) {
  const int32_t half = n_rot / 2;
  for (int32_t i = 0; i < half; ++i) {
    float* first = style == ELMS_ROPE_INTERLEAVED ? x + 2 * i : x + i;
    float* second = style == ELMS_ROPE_INTERLEAVED ? x + 2 * i + 1 : x + i + half;
    const float a = *first;
    const float b = *second;
    *first = a * cosine[i] - b * sine[i];
    *second = a * sine[i] + b * cosine[i];
  }
}
