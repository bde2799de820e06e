/* The vector operations of attention (kernels/attention_blocked.h) for NEON. */
#ifndef ELMS_KERNELS_NEON_ATTENTION_OPS_H_
#define ELMS_KERNELS_NEON_ATTENTION_OPS_H_

#include "kernels/attention_blocked.h"
#include "kernels/neon/float_tile.h"
#include "kernels/declarations.h"

namespace {

void transpose_4x4(const float* in, size_t in_stride, float* out, size_t out_stride) {
  const float32x4x2_t top = vtrnq_f32(vld1q_f32(in), vld1q_f32(in + in_stride));
  const float32x4x2_t bottom = vtrnq_f32(vld1q_f32(in + 2 * in_stride), vld1q_f32(in + 3 * in_stride));
  vst1q_f32(out, vcombine_f32(vget_low_f32(top.val[0]), vget_low_f32(bottom.val[0])));
  vst1q_f32(out + out_stride, vcombine_f32(vget_low_f32(top.val[1]), vget_low_f32(bottom.val[1])));
  vst1q_f32(out + 2 * out_stride, vcombine_f32(vget_high_f32(top.val[0]), vget_high_f32(bottom.val[0])));
  vst1q_f32(out + 3 * out_stride, vcombine_f32(vget_high_f32(top.val[1]), vget_high_f32(bottom.val[1])));
}

struct Ops {
  static constexpr int32_t kWidth = kTileColumns;

  static void widen_f16(const uint16_t* x, int32_t n, float* out) { elms_f16_to_f32_neon(x, n, out); }

  static void widen_q8(const int8_t* q, float scale, int32_t n, float* out) {
    int32_t i = 0;
    for (; i + 8 <= n; i += 8) {
      const int16x8_t wide = vmovl_s8(vld1_s8(q + i));
      vst1q_f32(out + i, vmulq_n_f32(vcvtq_f32_s32(vmovl_s16(vget_low_s16(wide))), scale));
      vst1q_f32(out + i + 4, vmulq_n_f32(vcvtq_f32_s32(vmovl_s16(vget_high_s16(wide))), scale));
    }
    for (; i < n; ++i) out[i] = scale * static_cast<float>(q[i]);
  }

  static void transpose(const float* rows, int32_t stride, int32_t n_columns, float* out) {
    for (int32_t column = 0; column < n_columns; column += 4) {
      for (int32_t row = 0; row < kPositions; row += 4) {
        transpose_4x4(rows + static_cast<size_t>(row) * stride + column, stride,
                      out + static_cast<size_t>(column) * kPositions + row, kPositions);
      }
    }
  }

  static void multiply(const float* a, int32_t a_stride, const float* b, int32_t b_stride, float* c,
                       int32_t c_stride, int32_t rows, int32_t columns, int32_t depth, bool accumulate) {
    for (int32_t r = 0; r < rows; r += kTileRows) {
      for (int32_t column = 0; column < columns; column += kTileColumns) {
        float_tile_rows<F32Columns>(elms_min_i32(kTileRows, rows - r), a + static_cast<size_t>(r) * a_stride,
                                    a_stride, reinterpret_cast<const uint8_t*>(b + column),
                                    sizeof(float) * b_stride, c + static_cast<size_t>(r) * c_stride + column,
                                    c_stride, depth, accumulate);
      }
    }
  }

  static float maximum(const float* x, int32_t n) {
    float32x4_t most = vdupq_n_f32(-FLT_MAX);
    for (int32_t i = 0; i < n; i += 4) most = vmaxnmq_f32(most, vld1q_f32(x + i));
    return vmaxnmvq_f32(most);
  }

  static float exp_and_sum(float* x, int32_t n, float maximum) {
    float32x4_t sum = vdupq_n_f32(0.0f);
    for (int32_t i = 0; i < n; i += 4) {
      const float32x4_t e = exp_4(vsubq_f32(vld1q_f32(x + i), vdupq_n_f32(maximum)));
      vst1q_f32(x + i, e);
      sum = vaddq_f32(sum, e);
    }
    return vaddvq_f32(sum);
  }

  static void scale(float* x, int32_t n, float factor) {
    for (int32_t i = 0; i < n; i += 4) vst1q_f32(x + i, vmulq_n_f32(vld1q_f32(x + i), factor));
  }
};

}  // namespace

#endif /* ELMS_KERNELS_NEON_ATTENTION_OPS_H_ */
