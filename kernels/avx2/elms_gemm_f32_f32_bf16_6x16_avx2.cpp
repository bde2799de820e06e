// f32 activations x bf16 weights. Panel: [k] of 8 words, output i in the low half of word i and output 8 + i
// in the high one: a shift or a mask then makes eight floats.
#include "kernels/avx2/gemm_float.h"
#include "kernels/declarations.h"

namespace {

struct Bf16Columns {
  static constexpr size_t kBytes = 32;
  static Columns16 load(const uint8_t* p) {
    const __m256i words = load_256(p);
    return {
        _mm256_castsi256_ps(_mm256_slli_epi32(words, 16)),
        _mm256_castsi256_ps(_mm256_and_si256(words, _mm256_set1_epi32(static_cast<int32_t>(0xffff0000u))))};
  }
};

int32_t place(int32_t i) {
  return i < 8 ? 2 * i : 2 * (i - 8) + 1;
}

}  // namespace

extern "C" const elms_gemm_kernel elms_gemm_f32_f32_bf16_6x16_avx2 = {"elms_gemm_f32_f32_bf16_6x16_avx2",
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
