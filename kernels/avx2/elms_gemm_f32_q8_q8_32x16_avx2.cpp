// int8 activations x int8 weights in panels of 16 outputs.
//
// Panel block, 544 bytes: f16 scale[16]; int8 q[8][2][32]. Byte 4 i + t of q[g][o] is k = 4 g + t of output 8
// o + i.
//
// The one byte multiplication (maddubs) wants an unsigned and a signed side and saturates at 16 bits. |w| <=
// 128 is the unsigned side; the sign goes to the activation as a ^ s with s = (w < 0 ? -1 : 0), which is a or
// -a - 1: a pair is at least 2 * 128 * -128 = -2^15, so nothing saturates. Every negative weight thereby
// loses |w|, which depends on the weights alone and is added back once per block. (A true negation costs one
// more operation per row, and psignb competes with the multiplier.)
#include "kernels/avx2/gemm_quant.h"
#include "kernels/declarations.h"

// Panels lie one by one: in groups this kernel read from memory at about 0.6 of its rate, for reasons not yet understood.

namespace {

/// Two groups of four k of 8 outputs, split into magnitude and sign, and what the signs' trick must be given
/// back.
struct Split {
  __m256i magnitude[2];
  __m256i sign[2];
  __m256i correction;
};

inline __m256i dot_4(__m256i magnitude, __m256i x) {
  return _mm256_madd_epi16(_mm256_maddubs_epi16(magnitude, x), _mm256_set1_epi16(1));
}

struct Weights {
  struct Block {
    uint16_t scale[kNr];
    int8_t q[8][2][32];
  };
  static_assert(sizeof(Block) == 544, "the panel layout has no gaps");

  static Split split(const int8_t q[2][2][32], int outputs) {
    Split w;
    __m256i lost = _mm256_setzero_si256();
    for (int g = 0; g < 2; ++g) {
      const __m256i value = load_256(q[g][outputs]);
      w.magnitude[g] = _mm256_abs_epi8(value);
      w.sign[g] = _mm256_cmpgt_epi8(_mm256_setzero_si256(), value);
      lost = _mm256_add_epi16(lost, _mm256_maddubs_epi16(w.magnitude[g], w.sign[g]));
    }
    w.correction = _mm256_madd_epi16(lost, _mm256_set1_epi16(-1));
    return w;
  }

  static Dots add_quarter(Dots sums, const Split& low, const Split& high, const int8_t* q) {
    for (int g = 0; g < 2; ++g) {
      const __m256i x = broadcast_4(q + 4 * g);
      sums.low = _mm256_add_epi32(sums.low, dot_4(low.magnitude[g], _mm256_xor_si256(x, low.sign[g])));
      sums.high = _mm256_add_epi32(sums.high, dot_4(high.magnitude[g], _mm256_xor_si256(x, high.sign[g])));
    }
    return sums;
  }

  template <typename Finish>
  static void dot_rows(const Block& block, const LhsBlock* lhs, int32_t n_rows, Dots* dots, Finish finish) {
    for (int quarter = 0; quarter < 4; ++quarter) {
      const Split low = split(block.q + 2 * quarter, 0);
      const Split high = split(block.q + 2 * quarter, 1);
      for (int32_t r = 0; r < n_rows; ++r) {
        Dots sums = {low.correction, high.correction};
        if (quarter > 0) {
          sums = {_mm256_add_epi32(dots[r].low, sums.low), _mm256_add_epi32(dots[r].high, sums.high)};
        }
        sums = add_quarter(sums, low, high, lhs[r].q + 8 * quarter);
        quarter < 3 ? static_cast<void>(dots[r] = sums) : finish(r, sums);
      }
    }
  }

  /// A true negation: splitting would cost more than it saves for one row.
  static Dots dot_row(const Block& block, const LhsBlock* lhs) {
    Dots sums = {_mm256_setzero_si256(), _mm256_setzero_si256()};
    for (int g = 0; g < 8; ++g) {
      const __m256i x = broadcast_4(lhs->q + 4 * g);
      const __m256i low = load_256(block.q[g][0]);
      const __m256i high = load_256(block.q[g][1]);
      sums.low = _mm256_add_epi32(sums.low, dot_4(_mm256_abs_epi8(low), _mm256_sign_epi8(x, low)));
      sums.high = _mm256_add_epi32(sums.high, dot_4(_mm256_abs_epi8(high), _mm256_sign_epi8(x, high)));
    }
    return sums;
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
