// int8 activations x int4 weights in panels of 16 outputs.
//
// Panel block, 288 bytes: f16 scale[16]; nibbles[4][64]. Byte 4 i + t of nibbles[j] belongs to output i: its
// low nibble is k = 8 j + t, its high one k = 8 j + 4 + t.
#include "kernels/avx512vnni/gemm_quant.h"
#include "kernels/declarations.h"

namespace {

struct Weights {
  struct Block {
    uint16_t scale[kNr];
    uint8_t nibbles[kGroups / 2][64];
  };
  static_assert(sizeof(Block) == 288, "the panel layout has no gaps");

  static void decode(const Block& block, __m512i w[kGroups]) {
    const __m512i mask = _mm512_set1_epi8(0x0f);
#pragma GCC unroll 4
    for (int j = 0; j < kGroups / 2; ++j) {
      const __m512i bytes = load_512(block.nibbles[j]);
      w[2 * j] = _mm512_and_si512(bytes, mask);
      w[2 * j + 1] = _mm512_and_si512(_mm512_srli_epi16(bytes, 4), mask);
    }
  }
  static int32_t start(const LhsBlock& lhs) { return lhs.q4_start; }
};

void pack(const elms_pack_args* args) {
  for (int32_t b = 0; b < elms_ceil_div(args->k_full, ELMS_QUANT_BLOCK); ++b) {
    Weights::Block* block = block_to_pack<Weights::Block>(args, b);
    // A row past the end: scale 0, and nibbles that mean 0.
    memset(block->scale, 0, sizeof block->scale);
    memset(block->nibbles, 0x88, sizeof block->nibbles);
    for (int32_t i = 0; i < kNr; ++i) {
      const uint8_t* row = static_cast<const uint8_t*>(args->rows[i]);
      if (row == nullptr) continue;
      block->scale[i] = elms_load_u16(row + static_cast<size_t>(b) * ELMS_GGUF_Q4_0_BYTES);
      for (int32_t j = 0; j < kGroups / 2; ++j) {
        for (int32_t t = 0; t < 4; ++t) {
          block->nibbles[j][4 * i + t] = static_cast<uint8_t>(elms_gguf_q4_value(row, b, 8 * j + t) |
                                                              elms_gguf_q4_value(row, b, 8 * j + 4 + t) << 4);
        }
      }
    }
  }
}

}  // namespace

extern "C" const elms_gemm_kernel elms_gemm_f32_q8_q4_32x16_avx512vnni = {
    "elms_gemm_f32_q8_q4_32x16_avx512vnni",
    ELMS_WEIGHT_Q4,
    kMr,
    kNr,
    ELMS_QUANT_BLOCK,
    sizeof(Weights::Block),
    pack,
    elms_lhs_q8_bytes_avx512vnni,
    elms_lhs_q8_avx512vnni,
    gemm_or_gemv<Kernel<Weights>>,
    8};
