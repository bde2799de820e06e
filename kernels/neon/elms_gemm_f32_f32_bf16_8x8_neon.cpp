// f32 activations x bf16 weights. Panel: [k] of 4 words, output i in the low half of word i and output 4 + i
// in the high one: a shift or a mask then makes four floats.
#include "kernels/declarations.h"
#include "kernels/neon/gemm_float.h"

namespace {

struct Bf16Columns {
  static constexpr size_t kBytes = 16;
  static Columns8 load(const uint8_t* p) {
    const uint32x4_t words = vreinterpretq_u32_u8(vld1q_u8(p));
    return {vreinterpretq_f32_u32(vshlq_n_u32(words, 16)),
            vreinterpretq_f32_u32(vandq_u32(words, vdupq_n_u32(0xffff0000u)))};
  }
};

int32_t place(int32_t i) {
  return i < 4 ? 2 * i : 2 * (i - 4) + 1;
}

}  // namespace

extern "C" const elms_gemm_kernel elms_gemm_f32_f32_bf16_8x8_neon = {"elms_gemm_f32_f32_bf16_8x8_neon",
                                                                     ELMS_WEIGHT_BF16,
                                                                     kTileRows,
                                                                     kTileColumns,
                                                                     1,
                                                                     Bf16Columns::kBytes,
                                                                     pack_float<uint16_t, place>,
                                                                     nullptr,
                                                                     nullptr,
                                                                     gemm_float<Bf16Columns>,
    1};
