// Reference: f32 activations x bf16 weights.
#include "kernels/declarations.h"
#include "kernels/scalar/gemm_float.h"

namespace {

void pack(const elms_pack_args* args) {
  pack_float_panel<uint16_t>(args);
}
void gemm(const elms_gemm_args* args) {
  gemm_float<uint16_t, elms_f32_of_bf16>(args);
}
}  // namespace

extern "C" const elms_gemm_kernel elms_gemm_f32_f32_bf16_1x4_scalar = {"elms_gemm_f32_f32_bf16_1x4_scalar",
                                                                       ELMS_WEIGHT_BF16,
                                                                       1,
                                                                       kNr,
                                                                       1,
                                                                       kNr * sizeof(uint16_t),
                                                                       pack,
                                                                       nullptr,
                                                                       nullptr,
                                                                       gemm,
    1};
