// int8 activations x int8 weights with dot product instructions, in panels of 8 outputs.
//
// Panel block, 272 bytes: f16 scale[8]; 8 groups of 32 bytes. Byte 4 i + t of group g is k = 4 g + t of
// output i.
#include "kernels/declarations.h"
#include "kernels/dotprod/gemm_quant.h"

namespace {

struct Weights {
  struct Block {
    uint16_t scale[kNr];
    int8_t q[8][32];
  };
  static_assert(sizeof(Block) == 272, "the panel layout has no gaps");

  static void load_half(const Block& block, int half, int8x16_t w[4][2]) {
    for (int g = 0; g < 4; ++g) {
      w[g][0] = vld1q_s8(block.q[4 * half + g]);
      w[g][1] = vld1q_s8(block.q[4 * half + g] + 16);
    }
  }

  static float32x4_t to_float(int32x4_t sums) { return vcvtq_f32_s32(sums); }
};

void pack(const elms_pack_args* args) {
  Weights::Block* blocks = reinterpret_cast<Weights::Block*>(args->panel);
  for (int32_t b = 0; b < elms_ceil_div(args->k_full, ELMS_QUANT_BLOCK); ++b) {
    memset(blocks + b, 0, sizeof *blocks);
    for (int32_t i = 0; i < kNr; ++i) {
      if (args->rows[i] == nullptr) continue;
      const uint8_t* source =
          static_cast<const uint8_t*>(args->rows[i]) + static_cast<size_t>(b) * ELMS_GGUF_Q8_0_BYTES;
      blocks[b].scale[i] = elms_load_u16(source);
      for (int32_t g = 0; g < 8; ++g) memcpy(blocks[b].q[g] + 4 * i, source + 2 + 4 * g, 4);
    }
  }
}

}  // namespace

extern "C" const elms_gemm_kernel elms_gemm_f32_q8_q8_4x8_dotprod = {"elms_gemm_f32_q8_q8_4x8_dotprod",
                                                                     ELMS_WEIGHT_Q8,
                                                                     kMr,
                                                                     kNr,
                                                                     ELMS_QUANT_BLOCK,
                                                                     sizeof(Weights::Block),
                                                                     pack,
                                                                     elms_lhs_q8_bytes_dotprod,
                                                                     elms_lhs_q8_dotprod,
                                                                     gemm_by_panels<Kernel<Weights>>};
