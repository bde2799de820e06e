// int8 activations x int8 weights in panels of 16 outputs.
//
// Panel block, 544 bytes: f16 scale[16]; int8 q[8][2][32]. Byte 4 i + t of q[g][o] is k = 4 g + t of output 8
// o + i.
//
// The one byte multiplication (maddubs) wants an unsigned and a signed side and saturates at 16 bits. |a| <=
// 127 is the unsigned side; its sign goes to the weight as w ^ s with s = (a < 0 ? -1 : 0), which is w or
// -w - 1: a pair is at most 2 * 127 * 128 < 2^15, so nothing saturates. Every negative activation thereby
// loses |a|, which depends on the row alone and is added back once per block. So weights are read where they
// lie, as the memory operand of the exclusive or, and 16 outputs x 4 k take 8 instructions and no load of
// their own.
//
// A tile takes three panels, so that what is broadcast of two rows meets 48 outputs, whose sums fill the
// registers.
#include "kernels/avx2/gemm_quant.h"
#include "kernels/declarations.h"

namespace {

struct Weights {
  struct Block {
    uint16_t scale[kNr];
    int8_t q[8][2][32];
  };
  static_assert(sizeof(Block) == 544, "the panel layout has no gaps");
  using Lhs = SplitBlock;
  static const Lhs* lhs(const elms_gemm_args* args) {
    const size_t skipped = lhs_blocks_bytes(args->m, args->k / ELMS_QUANT_BLOCK);
    return reinterpret_cast<const Lhs*>(static_cast<const uint8_t*>(args->lhs) + skipped);
  }

  /// += four products of each of 8 outputs.
  static void add_4(__m256i* sum, const int8_t* q, __m256i magnitude, __m256i sign) {
    const __m256i pairs = _mm256_maddubs_epi16(magnitude, _mm256_xor_si256(sign, load_256(q)));
    *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
    in_order(sum);
  }

  /// Of 16 outputs of each of kPanels panels with rows lhs[0 .. kRows).
  template <int kPanels, int kRows>
  static void dot_rows(const Block* const* w, const Lhs* lhs, Dots (*dots)[kPanels]) {
#pragma GCC unroll 2
    for (int r = 0; r < kRows; ++r) {
      const __m256i lost = _mm256_set1_epi32(lhs[r].negative);
#pragma GCC unroll 4
      for (int p = 0; p < kPanels; ++p) dots[r][p] = {lost, lost};
    }
#pragma GCC unroll 8
    for (int g = 0; g < 8; ++g) {
#pragma GCC unroll 2
      for (int r = 0; r < kRows; ++r) {
        const __m256i magnitude = broadcast_4(lhs[r].magnitude + 4 * g);
        const __m256i sign = broadcast_4(lhs[r].sign + 4 * g);
#pragma GCC unroll 4
        for (int p = 0; p < kPanels; ++p) {
          add_4(&dots[r][p].low, w[p]->q[g][0], magnitude, sign);
          add_4(&dots[r][p].high, w[p]->q[g][1], magnitude, sign);
        }
      }
    }
  }

  template <int kPanels, int kRows>
  static void add_rows(const Block* const* w, const Lhs* lhs, const Sums* scales, Sums (*sums)[kPanels]) {
    reload(w[0]);
    Dots dots[kRows][kPanels];
    dot_rows<kPanels, kRows>(w, lhs, dots);
#pragma GCC unroll 2
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 3
      for (int p = 0; p < kPanels; ++p) add_block(&sums[r][p], dots[r][p], scales[p], lhs[r].scale);
    }
  }

  template <int kPanels>
  static void tile_of(const elms_gemm_args* args, int32_t column, int32_t row, int32_t n_rows) {
    constexpr int kRowsTogether = 2;
    const int32_t n_blocks = args->k / ELMS_QUANT_BLOCK;
    const size_t stride = block_stride(args, sizeof(Block)) / sizeof(Block);
    const Lhs* rows = lhs(args) + tile_offset(row, n_blocks);
    const Block* w[kPanels];
    for (int p = 0; p < kPanels; ++p) w[p] = block_at<Block>(args, column + p * kNr);
    Sums sums[kMr][kPanels];
    for (int32_t r = 0; r < n_rows; ++r) {
      for (int p = 0; p < kPanels; ++p) sums[r][p] = no_sums();
    }
    for (int32_t b = 0; b < n_blocks; ++b, rows += n_rows) {
      Sums scales[kPanels];
      for (int p = 0; p < kPanels; ++p) scales[p] = scales_of(*w[p]);
      int32_t r = 0;
      for (; r + kRowsTogether <= n_rows; r += kRowsTogether) {
        add_rows<kPanels, kRowsTogether>(w, rows + r, scales, sums + r);
      }
      if (r < n_rows) add_rows<kPanels, 1>(w, rows + r, scales, sums + r);
      for (const Block*& block : w) block += stride;
    }
    for (int32_t r = 0; r < n_rows; ++r) {
      for (int p = 0; p < kPanels; ++p) store_row_16(args, row + r, column + p * kNr, sums[r][p]);
    }
  }

  static constexpr int32_t kTilePanels = 3;
  static void tile(const elms_gemm_args* args, const uint8_t* /*panel*/, int32_t column, int32_t row,
                   int32_t n_rows) {
    switch (elms_min_i32(kTilePanels, elms_ceil_div(args->n - column, kNr))) {
      case 3:
        return tile_of<3>(args, column, row, n_rows);
      case 2:
        return tile_of<2>(args, column, row, n_rows);
      default:
        return tile_of<1>(args, column, row, n_rows);
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
                                                                    kPanelGroup};
