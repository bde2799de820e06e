// f32 activations x f16 weights. Panel: [k][16] f16.
#include "kernels/avx2/gemm_float.h"
#include "kernels/declarations.h"

namespace {

struct F16Columns {
  static constexpr size_t kBytes = 32;
  static Columns16 load(const uint8_t* p) {
    const __m128i* x = reinterpret_cast<const __m128i*>(p);
    return {_mm256_cvtph_ps(_mm_loadu_si128(x)), _mm256_cvtph_ps(_mm_loadu_si128(x + 1))};
  }
};

int32_t place(int32_t i) {
  return i;
}

}  // namespace

extern "C" const elms_gemm_kernel elms_gemm_f32_f32_f16_6x16_avx2 = {"elms_gemm_f32_f32_f16_6x16_avx2",
                                                                     ELMS_WEIGHT_F16,
                                                                     kTileRows,
                                                                     kTileColumns,
                                                                     1,
                                                                     F16Columns::kBytes,
                                                                     pack_float<uint16_t, place>,
                                                                     nullptr,
                                                                     nullptr,
                                                                     gemm_float<F16Columns>,
    1};
