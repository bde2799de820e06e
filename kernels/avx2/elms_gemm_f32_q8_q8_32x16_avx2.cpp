// int8 activations x int8 weights in panels of 16 outputs.
//
// Panel block, 544 bytes: f16 scale[16]; int8 q[8][2][32]. Byte 4 i + t of q[g][o] is k = 4 g + t of output 8
// o + i.
//
// The one byte multiplication (maddubs) wants an unsigned and a signed side and saturates at 16 bits. |w| <=
// 128 is the unsigned side; the sign goes to the activation as a ^ s with s = (w < 0 ? -1 : 0), which is a or
// -a - 1: a pair is at least 2 * 128 * -128 = -2^15, so nothing saturates. Every negative weight thereby
// loses |w|, which depends on the weights alone and is added back once per block. (A true
// negation, psignb, would compete with the multiplier; where few rows pay for it, it is used all the same.)
#include "kernels/avx2/gemm_quant.h"
#include "kernels/declarations.h"

// Panels lie one by one: in groups this kernel read from memory at about 0.6 of its rate, for reasons not yet
// understood.

namespace {

inline __m256i dot_4(__m256i magnitude, __m256i x) {
  return _mm256_madd_epi16(_mm256_maddubs_epi16(magnitude, x), _mm256_set1_epi16(1));
}

struct Weights {
  struct Block {
    uint16_t scale[kNr];
    int8_t q[8][2][32];
  };
  static_assert(sizeof(Block) == 544, "the panel layout has no gaps");

  /// Magnitudes and signs, and what the signs' trick must be given back.
  struct Decoded {
    __m256i magnitude[8][2];
    __m256i sign[8][2];
    Dots correction;
  };

  static void decode(const Block& block, Decoded* w) {
    Dots lost = {_mm256_setzero_si256(), _mm256_setzero_si256()};
    for (int g = 0; g < 8; ++g) {
      lost.low = _mm256_add_epi16(lost.low, decode(block.q[g][0], &w->magnitude[g][0], &w->sign[g][0]));
      lost.high = _mm256_add_epi16(lost.high, decode(block.q[g][1], &w->magnitude[g][1], &w->sign[g][1]));
    }
    const __m256i minus = _mm256_set1_epi16(-1);
    w->correction = {_mm256_madd_epi16(lost.low, minus), _mm256_madd_epi16(lost.high, minus)};
  }

  /// The sums of pairs of negative values: at least -2^8 each.
  static __m256i decode(const int8_t* q, __m256i* magnitude, __m256i* sign) {
    const __m256i value = load_256(q);
    *magnitude = _mm256_abs_epi8(value);
    *sign = _mm256_cmpgt_epi8(_mm256_setzero_si256(), value);
    return _mm256_maddubs_epi16(*magnitude, *sign);
  }

  /// Four k of 16 outputs: magnitudes, and what gives an activation the sign of a weight.
  struct Flipped {
    __m256i magnitude[2], sign[2];
    __m256i with_sign(__m256i x, int o) const { return _mm256_xor_si256(x, sign[o]); }
  };
  struct Negated {
    __m256i magnitude[2], value[2];
    __m256i with_sign(__m256i x, int o) const { return _mm256_sign_epi8(x, value[o]); }
  };
  static Flipped four_k(const Decoded& w, int g) {
    return {{w.magnitude[g][0], w.magnitude[g][1]}, {w.sign[g][0], w.sign[g][1]}};
  }
  /// Not decoded: psignb negates, and competes with the multiplier. For more than kFewRows rows that costs
  /// more than decoding does.
  static Negated four_k(const Block& block, int g) {
    const __m256i low = load_256(block.q[g][0]), high = load_256(block.q[g][1]);
    return {{_mm256_abs_epi8(low), _mm256_abs_epi8(high)}, {low, high}};
  }
  static Dots start(const Decoded& w) { return w.correction; }
  static Dots start(const Block&) { return {_mm256_setzero_si256(), _mm256_setzero_si256()}; }

  template <int kRows, typename Source>
  static void dot_rows(const Source& source, const LhsBlock* lhs, Dots* dots) {
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) dots[r] = start(source);
#pragma GCC unroll 8
    for (int g = 0; g < 8; ++g) {
      const auto w = four_k(source, g);
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) {
        const __m256i x = broadcast_4(lhs[r].q + 4 * g);
        dots[r].low = _mm256_add_epi32(dots[r].low, dot_4(w.magnitude[0], w.with_sign(x, 0)));
        dots[r].high = _mm256_add_epi32(dots[r].high, dot_4(w.magnitude[1], w.with_sign(x, 1)));
        in_order(&dots[r].low);
        in_order(&dots[r].high);
      }
    }
  }
};

void pack(const elms_pack_args* args) {
  for (int32_t b = 0; b < elms_ceil_div(args->k_full, ELMS_QUANT_BLOCK); ++b) {
    Weights::Block* block = block_to_pack<Weights::Block>(args, b);
    memset(block, 0, sizeof *block);
    for (int32_t i = 0; i < kNr; ++i) {
      if (args->rows[i] == nullptr) continue;
      const uint8_t* source =
          static_cast<const uint8_t*>(args->rows[i]) + static_cast<size_t>(b) * ELMS_GGUF_Q8_0_BYTES;
      block->scale[i] = elms_load_u16(source);
      for (int32_t g = 0; g < 8; ++g) memcpy(block->q[g][i / 8] + i % 8 * 4, source + 2 + 4 * g, 4);
    }
  }
}

}  // namespace

extern "C" const elms_gemm_kernel elms_gemm_f32_q8_q8_32x16_avx2 = {"elms_gemm_f32_q8_q8_32x16_avx2",
                                                                    ELMS_WEIGHT_Q8,
                                                                    kMr,
                                                                    kNr,
                                                                    ELMS_QUANT_BLOCK,
                                                                    sizeof(Weights::Block),
                                                                    pack,
                                                                    elms_lhs_q8_bytes_avx2,
                                                                    elms_lhs_q8_avx2,
                                                                    gemm_or_gemv<Kernel<Weights>>,
                                                                    1};
