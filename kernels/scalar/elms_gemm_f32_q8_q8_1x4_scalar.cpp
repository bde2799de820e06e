// Reference: int8 activations x int8 weights. Panel block: f16 scale[4]; int8 q[4][32].
#include "kernels/declarations.h"
#include "kernels/scalar/gemm_quant.h"

namespace {

struct Block {
  uint16_t scale[kNr];
  int8_t q[kNr][ELMS_QUANT_BLOCK];

  int32_t dot(int32_t row, const int8_t* lhs) const {
    int32_t sum = 0;
    for (int i = 0; i < ELMS_QUANT_BLOCK; ++i) sum += q[row][i] * lhs[i];
    return sum;
  }
};

void pack(const elms_pack_args* args) {
  Block* blocks = reinterpret_cast<Block*>(args->panel);
  for (int32_t b = 0; b < elms_ceil_div(args->k_full, ELMS_QUANT_BLOCK); ++b) {
    Block block = {};
    for (int32_t i = 0; i < kNr; ++i) {
      if (args->rows[i] == nullptr) continue;
      const uint8_t* source =
          static_cast<const uint8_t*>(args->rows[i]) + static_cast<size_t>(b) * ELMS_GGUF_Q8_0_BYTES;
      block.scale[i] = elms_load_u16(source);
      memcpy(block.q[i], source + 2, ELMS_QUANT_BLOCK);
    }
    blocks[b] = block;
  }
}

}  // namespace

extern "C" const elms_gemm_kernel elms_gemm_f32_q8_q8_1x4_scalar = {"elms_gemm_f32_q8_q8_1x4_scalar",
                                                                    ELMS_WEIGHT_Q8,
                                                                    1,
                                                                    kNr,
                                                                    ELMS_QUANT_BLOCK,
                                                                    sizeof(Block),
                                                                    pack,
                                                                    elms_lhs_q8_bytes_scalar,
                                                                    elms_lhs_q8_scalar,
                                                                    gemm_quant<Block>,
    1};
