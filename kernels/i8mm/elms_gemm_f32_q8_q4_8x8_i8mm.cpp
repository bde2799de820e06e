// int8 activations x int4 weights with matrix multiplication instructions, in panels of 8 outputs.
//
// Panel block, 144 bytes: f16 scale[8]; nibbles[2 halves of 4 outputs][2 parts of k][2 pairs of
// outputs][2][8]. The low nibble of byte t of part h is k = 16 h + t, the high one k = 16 h + 8 + t, as
// signed 4-bit numbers (the file's nibble with its top bit flipped). One shift or mask puts a nibble into the
// top of its byte, which is 16 times its value; the conversion to float divides by 16 for nothing.
#include "kernels/declarations.h"
#include "kernels/i8mm/gemm_quant.h"

namespace {

struct Storage {
  struct Block {
    uint16_t scale[kNr];
    int8_t nibbles[kHalves][2][kOutputPairs][2][8];
  };
  static_assert(sizeof(Block) == 144, "the panel layout has no gaps");

  static void load(const Block& block, int half, int8x16_t w[4][kOutputPairs]) {
    for (int part = 0; part < 2; ++part) {
      int8x16_t both[kOutputPairs];
      load_pair(block.nibbles[half][part][0][0], both);
      for (int p = 0; p < kOutputPairs; ++p) {
        w[2 * part][p] = vshlq_n_s8(both[p], 4);
        w[2 * part + 1][p] = vandq_s8(both[p], vdupq_n_s8(-16));
      }
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
      for (int32_t part = 0; part < 2; ++part) {
        for (int32_t t = 0; t < 8; ++t) {
          const int nibbles =
              elms_gguf_q4_value(row, b, 16 * part + t) | elms_gguf_q4_value(row, b, 16 * part + 8 + t) << 4;
          blocks[b].nibbles[i / 4][part][i % 4 / 2][i % 2][t] = static_cast<int8_t>(nibbles ^ 0x88);
        }
      }
    }
  }
}

}  // namespace

extern "C" const elms_gemm_kernel elms_gemm_f32_q8_q4_8x8_i8mm = {"elms_gemm_f32_q8_q4_8x8_i8mm",
                                                                  ELMS_WEIGHT_Q4,
                                                                  kMr,
                                                                  kNr,
                                                                  ELMS_QUANT_BLOCK,
                                                                  sizeof(Storage::Block),
                                                                  pack,
                                                                  elms_lhs_q8_bytes_i8mm,
                                                                  elms_lhs_q8_i8mm,
                                                                  Tiled<PairProduct<Storage>>::run,
    1};
