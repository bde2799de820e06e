// Reference: int8 activations x int4 weights. Panel block: f16 scale[4]; nibbles[4][16] as GGUF's Q4_0 has
// them.
#include "kernels/declarations.h"
#include "kernels/scalar/gemm_quant.h"

namespace {

struct Block {
  uint16_t scale[kNr];
  uint8_t nibbles[kNr][ELMS_QUANT_BLOCK / 2];

  int32_t dot(int32_t row, const int8_t* lhs) const {
    int32_t sum = 0;
    for (int i = 0; i < ELMS_QUANT_BLOCK / 2; ++i) {
      sum += ((nibbles[row][i] & 0x0f) - 8) * lhs[i];
      sum += ((nibbles[row][i] >> 4) - 8) * lhs[i + ELMS_QUANT_BLOCK / 2];
    }
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
          static_cast<const uint8_t*>(args->rows[i]) + static_cast<size_t>(b) * ELMS_GGUF_Q4_0_BYTES;
      block.scale[i] = elms_load_u16(source);
      memcpy(block.nibbles[i], source + 2, ELMS_QUANT_BLOCK / 2);
    }
    blocks[b] = block;
  }
}

}  // namespace

extern "C" const elms_gemm_kernel elms_gemm_f32_q8_q4_1x4_scalar = {"elms_gemm_f32_q8_q4_1x4_scalar",
                                                                    ELMS_WEIGHT_Q4,
                                                                    1,
                                                                    kNr,
                                                                    ELMS_QUANT_BLOCK,
                                                                    sizeof(Block),
                                                                    pack,
                                                                    elms_lhs_q8_bytes_scalar,
                                                                    elms_lhs_q8_scalar,
                                                                    gemm_quant<Block>,
    1};
