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

  template <int kRows, int kTileRows>
  static void dots(const Block& block, int half, const LhsTile<kTileRows>& lhs, int32x4_t sums[kRows]) {
    int8x16_t w[4][2];
    for (int i = 0; i < 4; ++i) {
      for (int part = 0; part < 2; ++part) w[i][part] = vld1q_s8(block.q[4 * half + i] + 16 * part);
    }
    for (int r = 0; r < kRows; ++r) {
      const int8x16_t q[2] = {vld1q_s8(lhs.q[0][r]), vld1q_s8(lhs.q[1][r])};
      sums[r] = vpaddq_s32(vpaddq_s32(partial(w[0], q), partial(w[1], q)),
                           vpaddq_s32(partial(w[2], q), partial(w[3], q)));
    }
  }

  static float32x4_t to_float(int32x4_t sums) { return vcvtq_f32_s32(sums); }

 private:
  /// Four lanes that add up to the dot product of one output.
  static int32x4_t partial(const int8x16_t w[2], const int8x16_t q[2]) {
    const int16x8_t first = vmlal_high_s8(vmull_s8(vget_low_s8(w[0]), vget_low_s8(q[0])), w[0], q[0]);
    const int16x8_t second = vmlal_high_s8(vmull_s8(vget_low_s8(w[1]), vget_low_s8(q[1])), w[1], q[1]);
    return vpadalq_s16(vpaddlq_s16(first), second);
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
                                                                   Tiled<RowProduct<Storage>>::run};
