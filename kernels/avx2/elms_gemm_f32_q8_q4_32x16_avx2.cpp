// int8 activations x int4 weights in panels of 16 outputs.
//
// Panel block, 288 bytes: f16 scale[16]; nibbles[4][2][32]. Byte 4 i + t of nibbles[j][o] belongs to output 8
// o + i: its low nibble is k = 8 j + t, its high one k = 8 j + 4 + t. A vector of nibbles times four
// broadcast activations gives two 16-bit sums per output, and a whole block's sums fit 16 bits: |sum of (q -
// 8) a| <= 8 * 127 * 32 < 2^15, and so does every partial sum that starts from -4 * sum(a) in each of the two
// lanes. Hence one widening per block.
//
// Four rows at a time have their sums of 16 outputs in eight registers while a block passes by. For many rows
// a block is unpacked once, into the first-level cache. (Three panels x two rows, with values as memory
// operands as in the int8 kernel, take a fifth fewer instructions, but twice the loads, and were no faster.)
#include "kernels/avx2/gemm_quant.h"
#include "kernels/declarations.h"

namespace {

constexpr int32_t kRowsTogether = 4;
constexpr int32_t kFewRows = 8;  // for which unpacking beforehand does not pay

struct Weights {
  struct Block {
    uint16_t scale[kNr];
    uint8_t nibbles[4][2][32];
  };
  static_assert(sizeof(Block) == 288, "the panel layout has no gaps");
  using Lhs = LhsBlock;
  static const Lhs* lhs(const elms_gemm_args* args) { return static_cast<const Lhs*>(args->lhs); }

  /// Values 0..15 of 16 outputs, two groups of four k.
  struct Values {
    __m256i low[2];   // outputs 0..7
    __m256i high[2];  // outputs 8..15
  };
  struct Unpacked {
    Values values[4];
  };

  static Values values_of(const uint8_t nibbles[2][32]) {
    const __m256i mask = _mm256_set1_epi8(0x0f);
    const __m256i low = load_256(nibbles[0]), high = load_256(nibbles[1]);
    return {{_mm256_and_si256(low, mask), _mm256_and_si256(_mm256_srli_epi16(low, 4), mask)},
            {_mm256_and_si256(high, mask), _mm256_and_si256(_mm256_srli_epi16(high, 4), mask)}};
  }
  static const Values& values(const Unpacked& w, int j) { return w.values[j]; }
  static Values values(const Block& block, int j) { return values_of(block.nibbles[j]); }

  /// Of 16 outputs of each of kPanels panels with rows lhs[0 .. kRows); w are Blocks or Unpacked.
  template <int kPanels, int kRows, typename Source>
  static void dot_rows(const Source* const* w, const LhsBlock* lhs, Dots (*dots)[kPanels]) {
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      const __m256i offset = broadcast_4(lhs[r].nibble_offset);
#pragma GCC unroll 4
      for (int p = 0; p < kPanels; ++p) dots[r][p] = {offset, offset};
    }
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
#pragma GCC unroll 4
      for (int p = 0; p < kPanels; ++p) {
        const Values& two = values(*w[p], j);
#pragma GCC unroll 2
        for (int g = 0; g < 2; ++g) {
#pragma GCC unroll 4
          for (int r = 0; r < kRows; ++r) {
            const __m256i x = broadcast_4(lhs[r].q + 4 * (2 * j + g));
            Dots& sums = dots[r][p];
            sums.low = _mm256_add_epi16(sums.low, _mm256_maddubs_epi16(two.low[g], x));
            sums.high = _mm256_add_epi16(sums.high, _mm256_maddubs_epi16(two.high[g], x));
            in_order(&sums.low);
            in_order(&sums.high);
          }
        }
      }
    }
    const __m256i ones = _mm256_set1_epi16(1);
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (int p = 0; p < kPanels; ++p) {
        dots[r][p] = {_mm256_madd_epi16(dots[r][p].low, ones), _mm256_madd_epi16(dots[r][p].high, ones)};
      }
    }
  }

  template <int kRows, typename Source>
  static void add_rows(const Source& w, const LhsBlock* lhs, const Sums& scales, Sums* sums) {
    reload(&w);
    const Source* panel[1] = {&w};
    Dots dots[kRows][1];
    dot_rows<1, kRows>(panel, lhs, dots);
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) add_block(&sums[r], dots[r][0], scales, lhs[r].scale);
  }

  template <typename Source>
  static void add_all_rows(const Source& w, const LhsBlock* lhs, int32_t n_rows, const Sums& scales,
                           Sums* sums) {
    static_assert(kRowsTogether == 4, "the switch has what four leave over");
    for (; n_rows >= kRowsTogether; n_rows -= kRowsTogether, lhs += kRowsTogether, sums += kRowsTogether) {
      add_rows<kRowsTogether>(w, lhs, scales, sums);
    }
    switch (n_rows) {
      case 3:
        return add_rows<3>(w, lhs, scales, sums);
      case 2:
        return add_rows<2>(w, lhs, scales, sums);
      case 1:
        return add_rows<1>(w, lhs, scales, sums);
      default:
        return;
    }
  }

  static constexpr int32_t kTilePanels = 1;
  static void tile(const elms_gemm_args* args, const uint8_t* panel, int32_t column, int32_t row,
                   int32_t n_rows) {
    const int32_t n_blocks = args->k / ELMS_QUANT_BLOCK;
    const size_t stride = block_stride(args, sizeof(Block));
    const LhsBlock* rows = lhs(args) + tile_offset(row, n_blocks);
    Unpacked unpacked;
    Sums sums[kMr];
    for (int32_t r = 0; r < n_rows; ++r) sums[r] = no_sums();
    for (int32_t b = 0; b < n_blocks; ++b, rows += n_rows, panel += stride) {
      const Block& block = *reinterpret_cast<const Block*>(panel);
      const Sums scales = scales_of(block);
      if (n_rows <= kFewRows) {
        add_all_rows(block, rows, n_rows, scales, sums);
      } else {
        for (int j = 0; j < 4; ++j) unpacked.values[j] = values_of(block.nibbles[j]);
        add_all_rows(unpacked, rows, n_rows, scales, sums);
      }
    }
    for (int32_t r = 0; r < n_rows; ++r) store_row_16(args, row + r, column, sums[r]);
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
                                                                    kPanelGroup};
