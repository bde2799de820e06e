// int8 activations x int4 weights with dot product instructions, in panels of 8 outputs.
//
// Panel block, 144 bytes: f16 scale[8]; 2 halves of 4 outputs; 4 vectors of 16 bytes. Byte 4 i + t of vector
// j belongs to output i of the half: its low nibble is k = 8 j + t, its high one k = 8 j + 4 + t, as signed
// 4-bit numbers (the file's nibble with its top bit flipped). One shift or mask puts a nibble into the top of
// its byte, which is 16 times its value; the conversion to float divides by 16 for nothing.
#include "kernels/declarations.h"
#include "kernels/dotprod/gemm_quant.h"

namespace {

struct Storage {
  struct Block {
    uint16_t scale[kNr];
    int8_t nibbles[kHalves][4][16];
  };
  static_assert(sizeof(Block) == 144, "the panel layout has no gaps");

  static void load(const Block& block, int half, int8x16_t w[8]) {
    int8x16_t both[4];
    load_pair(block.nibbles[half][0], both);
    load_pair(block.nibbles[half][2], both + 2);
    for (int j = 0; j < 4; ++j) {
      w[2 * j] = vshlq_n_s8(both[j], 4);
      w[2 * j + 1] = vandq_s8(both[j], vdupq_n_s8(-16));
    }
  }

  static float32x4_t to_float(int32x4_t sums) { return vcvtq_n_f32_s32(sums, 4); }
};

void pack(const elms_pack_args* args) {
  Storage::Block* blocks = reinterpret_cast<Storage::Block*>(args->panel);
  for (int32_t b = 0; b < elms_ceil_div(args->k_full, ELMS_QUANT_BLOCK); ++b) {
    memset(blocks + b, 0, sizeof *blocks);
    for (int32_t i = 0; i < kNr; ++i) {
      const uint8_t* row = static_cast<const uint8_t*>(args->rows[i]);
      if (row == nullptr) continue;
      blocks[b].scale[i] = elms_load_u16(row + static_cast<size_t>(b) * ELMS_GGUF_Q4_0_BYTES);
      for (int32_t j = 0; j < 4; ++j) {
        for (int32_t t = 0; t < 4; ++t) {
          const int nibbles =
              elms_gguf_q4_value(row, b, 8 * j + t) | elms_gguf_q4_value(row, b, 8 * j + 4 + t) << 4;
          blocks[b].nibbles[i / 4][j][4 * (i % 4) + t] = static_cast<int8_t>(nibbles ^ 0x88);
        }
      }
    }
  }
}

}  // namespace

extern "C" const elms_gemm_kernel elms_gemm_f32_q8_q4_8x8_dotprod = {
    "elms_gemm_f32_q8_q4_8x8_dotprod",
    ELMS_WEIGHT_Q4,
    kMr,
    kNr,
    ELMS_QUANT_BLOCK,
    sizeof(Storage::Block),
    pack,
    elms_lhs_q8_bytes_dotprod,
    elms_lhs_q8_dotprod,
    Tiled<RowProduct<DotWeights<Storage>>>::run,
    1};
