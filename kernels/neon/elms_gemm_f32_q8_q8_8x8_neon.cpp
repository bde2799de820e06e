// int8 activations x int8 weights without dot product instructions, in panels of 8 outputs.
//
// Panel block, 272 bytes: f16 scale[8]; int8 q[8][32], one output after the other. Two products fit 16 bits
// (2 * 128 * 127 < 2^15), so smull + smlal2 form pairs, which are then added pairwise into 32 bits.
#include "kernels/declarations.h"
#include "kernels/neon/gemm_quant.h"
#include "kernels/neon/lhs_q8.h"

namespace {

struct Storage {
  struct Block {
    uint16_t scale[kNr];
    int8_t q[kNr][ELMS_QUANT_BLOCK];
  };
  static_assert(sizeof(Block) == 272, "the panel layout has no gaps");

  template <int kRows>
  using Lhs = LhsTile<kRows>;
  static constexpr int kBlocksTogether = 1;

  /// w[2 i] is k = 0..15 of output i of the half, w[2 i + 1] k = 16..31.
  static void load(const Block& block, int half, int8x16_t w[8]) {
    for (int i = 0; i < 4; ++i) load_pair(block.q[4 * half + i], w + 2 * i);
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
  /// Pairs of lanes that add up to the dot products of two outputs, side by side: one would be a long chain.
  static int32x4_t two_outputs(const int8x16_t w[4], const int8x16_t q[2]) {
    int16x8_t pairs[2];
    int32x4_t sums[2];
    for (int i = 0; i < 2; ++i) pairs[i] = vmull_s8(vget_low_s8(w[2 * i]), vget_low_s8(q[0]));
    for (int i = 0; i < 2; ++i) pairs[i] = vmlal_high_s8(pairs[i], w[2 * i], q[0]);
    for (int i = 0; i < 2; ++i) sums[i] = vpaddlq_s16(pairs[i]);
    for (int i = 0; i < 2; ++i) pairs[i] = vmull_s8(vget_low_s8(w[2 * i + 1]), vget_low_s8(q[1]));
    for (int i = 0; i < 2; ++i) pairs[i] = vmlal_high_s8(pairs[i], w[2 * i + 1], q[1]);
    for (int i = 0; i < 2; ++i) sums[i] = vpadalq_s16(sums[i], pairs[i]);
    return vpaddq_s32(sums[0], sums[1]);
  }

  static int32x4_t dots(const int8x16_t w[8], const int8x16_t q[2]) {
    return vpaddq_s32(two_outputs(w, q), two_outputs(w + 4, q));
  }
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
      memcpy(blocks[b].q[i], source + 2, ELMS_QUANT_BLOCK);
    }
  }
}

}  // namespace

extern "C" const elms_gemm_kernel elms_gemm_f32_q8_q8_8x8_neon = {"elms_gemm_f32_q8_q8_8x8_neon",
                                                                  ELMS_WEIGHT_Q8,
                                                                  kMr,
                                                                  kNr,
                                                                  ELMS_QUANT_BLOCK,
                                                                  sizeof(Storage::Block),
                                                                  pack,
                                                                  elms_lhs_q8_bytes_neon,
                                                                  elms_lhs_q8_neon,
                                                                  Tiled<RowProduct<Storage>>::run,
    1};
