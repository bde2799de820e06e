// f32 activations x f32 weights. Panel: [k][8] f32.
#include "kernels/declarations.h"
#include "kernels/neon/gemm_float.h"

namespace {

int32_t place(int32_t i) {
  return i;
}

}  // namespace

extern "C" const elms_gemm_kernel elms_gemm_f32_f32_f32_8x8_neon = {"elms_gemm_f32_f32_f32_8x8_neon",
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
