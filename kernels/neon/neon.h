/* What the ARM kernels share: the quantisation of 32 activations, exp, and how finished sums are stored. */
#ifndef ELMS_KERNELS_NEON_NEON_H_
#define ELMS_KERNELS_NEON_NEON_H_

#include <arm_neon.h>

#include "kernels/common.h"

namespace {

inline float32x4_t load_half_4(const uint16_t* x) {
  return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(x)));
}

/// Quantises 32 activations: q[0] is values 0..15, q[1] values 16..31. Returns the scale.
inline float quantise_32(const float* values, int8x16_t q[2]) {
  const uint32x4_t magnitude = vdupq_n_u32(0x7fffffffu);
  float32x4_t x[8];
  uint32x4_t most = vdupq_n_u32(0);
  for (int i = 0; i < 8; ++i) {
    x[i] = vld1q_f32(values + 4 * i);
    // Magnitudes of floats order like their bits, NaN above infinity.
    most = vmaxq_u32(most, vandq_u32(vreinterpretq_u32_f32(x[i]), magnitude));
  }
  const elms_block_scale scale = elms_scale_of_max_bits(vmaxvq_u32(most));
  if (scale.inverse == 0.0f) {
    q[0] = q[1] = vdupq_n_s8(0);
    return scale.scale;
  }
  for (int half = 0; half < 2; ++half) {
    int16x4_t narrow[4];
    for (int i = 0; i < 4; ++i)
      narrow[i] = vmovn_s32(vcvtnq_s32_f32(vmulq_n_f32(x[4 * half + i], scale.inverse)));
    q[half] = vcombine_s8(vmovn_s16(vcombine_s16(narrow[0], narrow[1])),
                          vmovn_s16(vcombine_s16(narrow[2], narrow[3])));
  }
  return scale.scale;
}

/// e^x within 2 units in the last place on [-87.33, 88.37]; 0 below, where results would be subnormal, and
/// infinity above, a little early; NaN stays NaN. x = n ln 2 + r; the polynomial is the minimax one of degree
/// 6 for |r| <= ln 2 / 2.
inline float32x4_t exp_4(float32x4_t x) {
  const uint32x4_t underflow = vcltq_f32(x, vdupq_n_f32(-87.33f));
  x = vminq_f32(x, vdupq_n_f32(89.0f));
  const float32x4_t n = vrndnq_f32(vmulq_n_f32(x, 0x1.715476p+0f));
  float32x4_t r = vfmsq_f32(x, n, vdupq_n_f32(0x1.62e4p-1f));  // ln 2 = 0x1.62e4p-1 + 0x1.7f7d1cp-20
  r = vfmsq_f32(r, n, vdupq_n_f32(0x1.7f7d1cp-20f));
  float32x4_t p = vdupq_n_f32(0x1.6a23cep-10f);
  p = vfmaq_f32(vdupq_n_f32(0x1.123a2p-7f), p, r);
  p = vfmaq_f32(vdupq_n_f32(0x1.5558f2p-5f), p, r);
  p = vfmaq_f32(vdupq_n_f32(0x1.555492p-3f), p, r);
  p = vfmaq_f32(vdupq_n_f32(0x1.fffffcp-2f), p, r);
  p = vfmaq_f32(r, vmulq_f32(r, r), p);
  p = vaddq_f32(p, vdupq_n_f32(1.0f));
  const int32x4_t exponent = vshlq_n_s32(vaddq_s32(vcvtnq_s32_f32(n), vdupq_n_s32(127)), 23);
  p = vmulq_f32(p, vreinterpretq_f32_s32(exponent));
  return vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(p), underflow));
}

/// Sums of 8 outputs of one row from `column` on, as many as the matrix has.
inline void store_row_8(const elms_gemm_args* args, int32_t row, int32_t column, float32x4_t low,
                        float32x4_t high) {
  float* dst = args->dst + static_cast<size_t>(row) * args->dst_stride + column;
  if (args->n - column >= 8) {
    if (args->bias != nullptr) {
      low = vaddq_f32(low, vld1q_f32(args->bias + column));
      high = vaddq_f32(high, vld1q_f32(args->bias + column + 4));
    }
    if (args->accumulate) {
      low = vaddq_f32(vld1q_f32(dst), low);
      high = vaddq_f32(vld1q_f32(dst + 4), high);
    }
    vst1q_f32(dst, low);
    vst1q_f32(dst + 4, high);
    return;
  }
  float values[8];
  vst1q_f32(values, low);
  vst1q_f32(values + 4, high);
  for (int32_t i = 0; i < args->n - column; ++i) elms_store_output(args, row, column + i, values[i]);
}

/// Weights of a GEMV are read once from memory: ask for them early.
constexpr size_t kPrefetchAheadBytes = 1024;

template <size_t kBytes>
inline void prefetch_block(const void* block) {
  const char* ahead = static_cast<const char*>(block) + kPrefetchAheadBytes;
  for (size_t line = 0; line < kBytes; line += 64) __builtin_prefetch(ahead + line);
}

}  // namespace

#endif /* ELMS_KERNELS_NEON_NEON_H_ */
