// int8 activations x int4 weights in panels of 16 outputs.
//
// Panel block, 288 bytes: f16 scale[16]; nibbles[4][2][32]. Byte 4 i + t of nibbles[j][o] belongs to output 8
// o + i: its low nibble is k = 8 j + t, its high one k = 8 j + 4 + t. A vector of nibbles times four
// broadcast activations gives two 16-bit sums per output, and a whole block's sums fit 16 bits: |sum of (q -
// 8) a| <= 8 * 127 * 32 < 2^15, and so does every partial sum that starts from -4 * sum(a) in each of the two
// lanes. Hence one widening per block.
#include "kernels/avx2/gemm_quant.h"
#include "kernels/declarations.h"

namespace {

/// Half a block: nibbles of 16 outputs for four groups of four k.
struct Half {
  __m256i low[4];   // outputs 0..7
  __m256i high[4];  // outputs 8..15
};

struct Weights {
  struct Block {
    uint16_t scale[kNr];
    uint8_t nibbles[4][2][32];
  };
  static_assert(sizeof(Block) == 288, "the panel layout has no gaps");

  static Half unpack(const uint8_t nibbles[2][2][32]) {
    const __m256i mask = _mm256_set1_epi8(0x0f);
    Half w;
    for (int j = 0; j < 2; ++j) {
      const __m256i first = load_256(nibbles[j][0]);
      const __m256i second = load_256(nibbles[j][1]);
      w.low[2 * j] = _mm256_and_si256(first, mask);
      w.low[2 * j + 1] = _mm256_and_si256(_mm256_srli_epi16(first, 4), mask);
      w.high[2 * j] = _mm256_and_si256(second, mask);
      w.high[2 * j + 1] = _mm256_and_si256(_mm256_srli_epi16(second, 4), mask);
    }
    return w;
  }

  static Dots add_half(Dots sums, const Half& w, const int8_t* q) {
    for (int g = 0; g < 4; ++g) {
      const __m256i x = broadcast_4(q + 4 * g);
      sums.low = _mm256_add_epi16(sums.low, _mm256_maddubs_epi16(w.low[g], x));
      sums.high = _mm256_add_epi16(sums.high, _mm256_maddubs_epi16(w.high[g], x));
    }
    return sums;
  }

  static Dots start(const LhsBlock& lhs) {
    const __m256i offset = broadcast_4(lhs.nibble_offset);
    return {offset, offset};
  }

  static Dots widen(Dots sums) {
    const __m256i ones = _mm256_set1_epi16(1);
    return {_mm256_madd_epi16(sums.low, ones), _mm256_madd_epi16(sums.high, ones)};
  }

  template <typename Finish>
  static void dot_rows(const Block& block, const LhsBlock* lhs, int32_t n_rows, Dots* dots, Finish finish) {
    const Half first = unpack(block.nibbles);
    for (int32_t r = 0; r < n_rows; ++r) dots[r] = add_half(start(lhs[r]), first, lhs[r].q);
    const Half second = unpack(block.nibbles + 2);
    for (int32_t r = 0; r < n_rows; ++r) finish(r, widen(add_half(dots[r], second, lhs[r].q + 16)));
  }

  static Dots dot_row(const Block& block, const LhsBlock* lhs) {
    const Dots first = add_half(start(*lhs), unpack(block.nibbles), lhs->q);
    return widen(add_half(first, unpack(block.nibbles + 2), lhs->q + 16));
  }
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
      for (int32_t j = 0; j < 4; ++j) {
        for (int32_t t = 0; t < 4; ++t) {
          block->nibbles[j][i / 8][i % 8 * 4 + t] = static_cast<uint8_t>(
              elms_gguf_q4_value(row, b, 8 * j + t) | elms_gguf_q4_value(row, b, 8 * j + 4 + t) << 4);
        }
      }
    }
  }
}

}  // namespace

extern "C" const elms_gemm_kernel elms_gemm_f32_q8_q4_32x16_avx2 = {"elms_gemm_f32_q8_q4_32x16_avx2",
                                                                    ELMS_WEIGHT_Q4,
                                                                    kMr,
                                                                    kNr,
                                                                    ELMS_QUANT_BLOCK,
                                                                    sizeof(Weights::Block),
                                                                    pack,
                                                                    elms_lhs_q8_bytes_avx2,
                                                                    elms_lhs_q8_avx2,
                                                                    gemm_or_gemv<Kernel<Weights>>,
    4};
