// int8 activations x int8 weights with matrix multiplication instructions, in panels of 8 outputs.
//
// Panel block, 272 bytes: f16 scale[8]; int8 q[2 halves of 4 outputs][4 steps of 8 along k][2 pairs of
// outputs][2][8].
#include "kernels/declarations.h"
#include "kernels/i8mm/gemm_quant.h"

namespace {

struct Storage {
  struct Block {
    uint16_t scale[kNr];
    int8_t q[kHalves][4][kOutputPairs][2][8];
  };
  static_assert(sizeof(Block) == 272, "the panel layout has no gaps");

  static void load(const Block& block, int half, int8x16_t w[4][kOutputPairs]) {
    for (int step = 0; step < 4; ++step) load_pair(block.q[half][step][0][0], w[step]);
  }

  static float32x4_t to_float(int32x4_t sums) { return vcvtq_f32_s32(sums); }
};

void pack(const elms_pack_args* args) {
  Storage::Block* blocks = reinterpret_cast<Storage::Block*>(args->panel);
  for (int32_t b = 0; b < elms_ceil_div(args->k_full, ELMS_QUANT_BLOCK); ++b) {
    memset(blocks + b, 0, sizeof *blocks);
    for (int32_t i = 0; i < kNr; ++i) {
      if (args->rows[i] == nullptr) continue;
      const uint8_t* source =
          static_cast<const uint8_t*>(args->rows[i]) + static_cast<size_t>(b) * ELMS_GGUF_Q8_0_BYTES;
      blocks[b].scale[i] = elms_load_u16(source);
      for (int step = 0; step < 4; ++step)
        memcpy(blocks[b].q[i / 4][step][i % 4 / 2][i % 2], source + 2 + 8 * step, 8);
    }
  }
}

}  // namespace

extern "C" const elms_gemm_kernel elms_gemm_f32_q8_q8_8x8_i8mm = {"elms_gemm_f32_q8_q8_8x8_i8mm",
                                                                  ELMS_WEIGHT_Q8,
                                                                  kMr,
                                                                  kNr,
                                                                  ELMS_QUANT_BLOCK,
                                                                  sizeof(Storage::Block),
                                                                  pack,
                                                                  elms_lhs_q8_bytes_i8mm,
                                                                  elms_lhs_q8_i8mm,
                                                                  Tiled<PairProduct<Storage>>::run,
    1};
