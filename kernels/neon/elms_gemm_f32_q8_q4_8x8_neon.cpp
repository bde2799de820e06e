// int8 activations x int4 weights without dot product instructions, in panels of 8 outputs.
//
// Panel block, 144 bytes: f16 scale[8]; nibbles[8][16], one output after the other: the low nibble of byte i
// is k = i, the high one k = 16 + i, as signed 4-bit numbers (the file's nibble with its top bit flipped). A
// lane that holds 16 products fits 16 bits (16 * 8 * 127 < 2^15), so nothing is widened before the last
// addition.
#include "kernels/declarations.h"
#include "kernels/neon/gemm_quant.h"
#include "kernels/neon/lhs_q8.h"

namespace {

struct Storage {
  struct Block {
    uint16_t scale[kNr];
    int8_t nibbles[kNr][16];
  };
  static_assert(sizeof(Block) == 144, "the panel layout has no gaps");

  template <int kRows>
  using Lhs = LhsTile<kRows>;
  static constexpr int kBlocksTogether = 1;

  /// w[2 i] is k = 0..15 of output i of the half, w[2 i + 1] k = 16..31.
  static void load(const Block& block, int half, int8x16_t w[8]) {
    int8x16_t both[4];
    load_pair(block.nibbles[4 * half], both);
    load_pair(block.nibbles[4 * half + 2], both + 2);
    for (int i = 0; i < 4; ++i) {
      w[2 * i] = vshrq_n_s8(vshlq_n_s8(both[i], 4), 4);
      w[2 * i + 1] = vshrq_n_s8(both[i], 4);
    }
  }

  static void dots_of_rows(const int8x16_t w[8], const Lhs<kMr>& lhs, int first, int32x4_t sums[4]) {
#pragma GCC unroll 4
    for (int r = 0; r < 4; ++r) {
      const int8x16_t q[2] = {vld1q_s8(lhs.q[0][first + r]), vld1q_s8(lhs.q[1][first + r])};
      sums[r] = dots(w, q);
    }
  }

  static void dots_of_row(const Block& block, const Lhs<1>& lhs, int32x4_t sums[kHalves]) {
    int8x16_t q[2];
    load_pair(lhs.q[0][0], q);
#pragma GCC unroll 2
    for (int half = 0; half < kHalves; ++half) {
      int8x16_t w[8];
      load(block, half, w);
      sums[half] = dots(w, q);
    }
  }

  static float32x4_t to_float(int32x4_t sums) {
    return vcvtq_f32_s32(sums);
  }

 private:
  /// Fours of lanes that add up to the dot products of two outputs, side by side: one would be a long chain.
  static int16x8_t two_outputs(const int8x16_t w[4], const int8x16_t q[2]) {
    int16x8_t sums[2];
    for (int i = 0; i < 2; ++i) sums[i] = vmull_s8(vget_low_s8(w[2 * i]), vget_low_s8(q[0]));
    for (int i = 0; i < 2; ++i) sums[i] = vmlal_high_s8(sums[i], w[2 * i], q[0]);
    for (int i = 0; i < 2; ++i) sums[i] = vmlal_s8(sums[i], vget_low_s8(w[2 * i + 1]), vget_low_s8(q[1]));
    for (int i = 0; i < 2; ++i) sums[i] = vmlal_high_s8(sums[i], w[2 * i + 1], q[1]);
    return vpaddq_s16(sums[0], sums[1]);
  }

  static int32x4_t dots(const int8x16_t w[8], const int8x16_t q[2]) {
    return vpaddlq_s16(vpaddq_s16(two_outputs(w, q), two_outputs(w + 4, q)));
  }
};

void pack(const elms_pack_args* args) {
  Storage::Block* blocks = reinterpret_cast<Storage::Block*>(args->panel);
  for (int32_t b = 0; b < elms_ceil_div(args->k_full, ELMS_QUANT_BLOCK); ++b) {
    memset(blocks + b, 0, sizeof *blocks);
    for (int32_t i = 0; i < kNr; ++i) {
      if (args->rows[i] == nullptr) continue;
      const uint8_t* source =
          static_cast<const uint8_t*>(args->rows[i]) + static_cast<size_t>(b) * ELMS_GGUF_Q4_0_BYTES;
      blocks[b].scale[i] = elms_load_u16(source);
      for (int j = 0; j < 16; ++j) blocks[b].nibbles[i][j] = static_cast<int8_t>(source[2 + j] ^ 0x88);
    }
  }
}

}  // namespace

extern "C" const elms_gemm_kernel elms_gemm_f32_q8_q4_8x8_neon = {"elms_gemm_f32_q8_q4_8x8_neon",
                                                                  ELMS_WEIGHT_Q4,
                                                                  kMr,
                                                                  kNr,
                                                                  ELMS_QUANT_BLOCK,
                                                                  sizeof(Storage::Block),
                                                                  pack,
                                                                  elms_lhs_q8_bytes_neon,
                                                                  elms_lhs_q8_neon,
                                                                  Tiled<RowProduct<Storage>>::run,
    1};
