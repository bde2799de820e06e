// f32 activations x f16 weights. Panel: [k][8] f16.
#include "kernels/declarations.h"
#include "kernels/neon/gemm_float.h"

namespace {

struct F16Columns {
  static constexpr size_t kBytes = 16;
  static Columns8 load(const uint8_t* p) {
    const uint16_t* x = reinterpret_cast<const uint16_t*>(p);
    return {load_half_4(x), load_half_4(x + 4)};
  }
};

int32_t place(int32_t i) {
  return i;
}

}  // namespace

extern "C" const elms_gemm_kernel elms_gemm_f32_f32_f16_8x8_neon = {"elms_gemm_f32_f32_f16_8x8_neon",
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
