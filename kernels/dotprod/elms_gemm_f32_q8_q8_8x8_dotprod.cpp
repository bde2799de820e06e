// int8 activations x int8 weights with dot product instructions, in panels of 8 outputs.
//
// Panel block, 272 bytes: f16 scale[8]; 2 halves of 4 outputs; 8 groups of 16 bytes. Byte 4 i + t of group g
// is k = 4 g + t of output i of the half.
#include "kernels/declarations.h"
#include "kernels/dotprod/gemm_quant.h"

namespace {

struct Storage {
  struct Block {
    uint16_t scale[kNr];
    int8_t q[kHalves][8][16];
  };
  static_assert(sizeof(Block) == 272, "the panel layout has no gaps");

  static void load(const Block& block, int half, int8x16_t w[8]) {
    for (int g = 0; g < 8; g += 2) load_pair(block.q[half][g], w + g);
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
      for (int32_t g = 0; g < 8; ++g) memcpy(blocks[b].q[i / 4][g] + 4 * (i % 4), source + 2 + 4 * g, 4);
    }
  }
}

}  // namespace

extern "C" const elms_gemm_kernel elms_gemm_f32_q8_q8_8x8_dotprod = {
    "elms_gemm_f32_q8_q8_8x8_dotprod",
    ELMS_WEIGHT_Q8,
    kMr,
    kNr,
    ELMS_QUANT_BLOCK,
    sizeof(Storage::Block),
    pack,
    elms_lhs_q8_bytes_dotprod,
    elms_lhs_q8_dotprod,
    Tiled<RowProduct<DotWeights<Storage>>>::run,
    1};
