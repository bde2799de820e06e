// f32 activations x f32 weights. Panel: [k][16] f32.
#include "kernels/avx2/gemm_float.h"
#include "kernels/declarations.h"

namespace {

int32_t place(int32_t i) {
  return i;
}

}  // namespace

extern "C" const elms_gemm_kernel elms_gemm_f32_f32_f32_6x16_avx2 = {"elms_gemm_f32_f32_f32_6x16_avx2",
                                                                     ELMS_WEIGHT_F32,
                                                                     kTileRows,
                                                                     kTileColumns,
                                                                     1,
                                                                     F32Columns::kBytes,
                                                                     pack_float<float, place>,
                                                                     nullptr,
                                                                     nullptr,
                                                                     gemm_float<F32Columns>,
    1};
