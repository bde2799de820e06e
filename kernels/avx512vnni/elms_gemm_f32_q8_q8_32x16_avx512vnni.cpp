// int8 activations x int8 weights in panels of 16 outputs.
//
// Panel block, 544 bytes: f16 scale[16]; uint8 q[8][64]. Byte 4 i + t of q[g] is k = 4 g + t of output i,
// plus 128.
#include "kernels/avx512vnni/gemm_quant.h"
#include "kernels/declarations.h"

// Panels lie one by one: in groups this kernel read from memory at about 0.6 of its rate, for reasons not yet understood.

namespace {

struct Weights {
  struct Block {
    uint16_t scale[kNr];
    uint8_t q[kGroups][64];
  };
  static_assert(sizeof(Block) == 544, "the panel layout has no gaps");

  static void decode(const Block& block, __m512i w[kGroups]) {
#pragma GCC unroll 8
    for (int g = 0; g < kGroups; ++g) w[g] = load_512(block.q[g]);
  }
  static int32_t start(const LhsBlock& lhs) { return lhs.q8_start; }
};

void pack(const elms_pack_args* args) {
  for (int32_t b = 0; b < elms_ceil_div(args->k_full, ELMS_QUANT_BLOCK); ++b) {
    Weights::Block* block = block_to_pack<Weights::Block>(args, b);
    // A row past the end: scale 0, and bytes that mean 0.
    memset(block->scale, 0, sizeof block->scale);
    memset(block->q, 0x80, sizeof block->q);
    for (int32_t i = 0; i < kNr; ++i) {
      if (args->rows[i] == nullptr) continue;
      const uint8_t* source =
          static_cast<const uint8_t*>(args->rows[i]) + static_cast<size_t>(b) * ELMS_GGUF_Q8_0_BYTES;
      block->scale[i] = elms_load_u16(source);
      for (int32_t k = 0; k < ELMS_QUANT_BLOCK; ++k) block->q[k / 4][4 * i + k % 4] = source[2 + k] ^ 0x80;
    }
  }
}

}  // namespace

extern "C" const elms_gemm_kernel elms_gemm_f32_q8_q8_32x16_avx512vnni = {
    "elms_gemm_f32_q8_q8_32x16_avx512vnni",
    ELMS_WEIGHT_Q8,
    kMr,
    kNr,
    ELMS_QUANT_BLOCK,
    sizeof(Weights::Block),
    pack,
    elms_lhs_q8_bytes_avx512vnni,
    elms_lhs_q8_avx512vnni,
    gemm_or_gemv<Kernel<Weights>>,
    1};
