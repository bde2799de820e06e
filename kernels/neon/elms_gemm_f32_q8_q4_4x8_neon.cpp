// int8 activations x int4 weights without dot product instructions, in panels of 8 outputs.
//
// Panel block, 144 bytes: f16 scale[8]; nibbles[8][16], one output after the other: the low nibble of byte i
// is k = i, the high one k = 16 + i, as signed 4-bit numbers (the file's nibble with its top bit flipped).
// All 32 products of a block fit 16 bits (8 * 127 * 32 < 2^15), so nothing is widened before the sums of 8
// outputs stand in one register.
#include "kernels/declarations.h"
#include "kernels/neon/gemm_quant.h"

namespace {

struct Weights {
  struct Block {
    uint16_t scale[kNr];
    uint8_t nibbles[kNr][16];
  };
  static_assert(sizeof(Block) == 144, "the panel layout has no gaps");

  /// Eight lanes that add up to the dot product of one output.
  static int16x8_t partial(int8x16_t low, int8x16_t high, const int8x16_t q[2]) {
    int16x8_t sum = vmull_s8(vget_low_s8(low), vget_low_s8(q[0]));
    sum = vmlal_high_s8(sum, low, q[0]);
    sum = vmlal_s8(sum, vget_low_s8(high), vget_low_s8(q[1]));
    return vmlal_high_s8(sum, high, q[1]);
  }

  template <int kRows>
  static void dots(const Block& block, const int8x16_t q[kRows][2], Dots sums[kRows]) {
    int16x8_t pairs[kRows][4];
    for (int i = 0; i < kNr; i += 2) {
      const int8x16_t first = vreinterpretq_s8_u8(vld1q_u8(block.nibbles[i]));
      const int8x16_t second = vreinterpretq_s8_u8(vld1q_u8(block.nibbles[i + 1]));
      const int8x16_t first_low = vshrq_n_s8(vshlq_n_s8(first, 4), 4);
      const int8x16_t second_low = vshrq_n_s8(vshlq_n_s8(second, 4), 4);
      const int8x16_t first_high = vshrq_n_s8(first, 4);
      const int8x16_t second_high = vshrq_n_s8(second, 4);
      for (int r = 0; r < kRows; ++r) {
        pairs[r][i / 2] =
            vpaddq_s16(partial(first_low, first_high, q[r]), partial(second_low, second_high, q[r]));
      }
    }
    for (int r = 0; r < kRows; ++r) {
      const int16x8_t eight =
          vpaddq_s16(vpaddq_s16(pairs[r][0], pairs[r][1]), vpaddq_s16(pairs[r][2], pairs[r][3]));
      sums[r].low = vmovl_s16(vget_low_s16(eight));
      sums[r].high = vmovl_high_s16(eight);
    }
  }
};

void pack(const elms_pack_args* args) {
  Weights::Block* blocks = reinterpret_cast<Weights::Block*>(args->panel);
  for (int32_t b = 0; b < elms_ceil_div(args->k_full, ELMS_QUANT_BLOCK); ++b) {
    memset(blocks + b, 0, sizeof *blocks);
    for (int32_t i = 0; i < kNr; ++i) {
      if (args->rows[i] == nullptr) continue;
      const uint8_t* source =
          static_cast<const uint8_t*>(args->rows[i]) + static_cast<size_t>(b) * ELMS_GGUF_Q4_0_BYTES;
      blocks[b].scale[i] = elms_load_u16(source);
      for (int j = 0; j < 16; ++j) blocks[b].nibbles[i][j] = source[2 + j] ^ 0x88;
    }
  }
}

}  // namespace

extern "C" const elms_gemm_kernel elms_gemm_f32_q8_q4_4x8_neon = {"elms_gemm_f32_q8_q4_4x8_neon",
                                                                  ELMS_WEIGHT_Q4,
                                                                  kMr,
                                                                  kNr,
                                                                  ELMS_QUANT_BLOCK,
                                                                  sizeof(Weights::Block),
                                                                  pack,
                                                                  elms_lhs_q8_bytes_neon,
                                                                  elms_lhs_q8_neon,
                                                                  gemm_by_panels<Kernel<Weights>>};
