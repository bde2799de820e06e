// Reference: f32 activations x f32 weights.
#include "kernels/declarations.h"
#include "kernels/scalar/gemm_float.h"

namespace {
float decode(float value) {
  return value;
}
void pack(const elms_pack_args* args) {
  pack_float_panel<float>(args);
}
void gemm(const elms_gemm_args* args) {
  gemm_float<float, decode>(args);
}
}  // namespace

extern "C" const elms_gemm_kernel elms_gemm_f32_f32_f32_1x4_scalar = {"elms_gemm_f32_f32_f32_1x4_scalar",
                                                                      ELMS_WEIGHT_F32,
                                                                      1,
                                                                      kNr,
                                                                      1,
                                                                      kNr * sizeof(float),
                                                                      pack,
                                                                      nullptr,
                                                                      nullptr,
                                                                      gemm,
    1};
