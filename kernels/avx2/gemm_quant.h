/* GEMM and GEMV over quantised weights in panels of 16 outputs, shared by Q8 and Q4: they differ in Weights.
 *
 *   struct Weights::Block                the panel's block; `uint16_t scale[16]` comes first
 *   struct Weights::Decoded              a block as products want it; decode(block, &decoded) makes it
 *   Weights::dot_rows<kRows>(w, lhs, dots)
 *                                        exact dot products of 16 outputs with rows lhs[0 .. kRows);
 *                                        w is a Block or a Decoded
 *
 * Four rows at a time have their sums of 16 outputs in eight registers while a block passes by: what is
 * loaded of it meets four rows, and each four activations that are loaded meet 16 outputs. For many rows a
 * block is decoded once, into the first-level cache. All this saves instructions, which most likely are what
 * limits on a core that a hypervisor shares between two machines (ARCHITECTURE.md).
 */
#ifndef ELMS_KERNELS_AVX2_GEMM_QUANT_H_
#define ELMS_KERNELS_AVX2_GEMM_QUANT_H_

#include "kernels/avx2/lhs_q8.h"
#include "kernels/gemm_loops.h"

namespace {

constexpr int32_t kNr = 16;
constexpr int32_t kRowsTogether = 4;
constexpr int32_t kFewRows = 8;       // for which decoding does not pay
constexpr size_t kAheadBytes = 1536;  // found by trying

struct Sums {
  __m256 low;   // outputs 0..7
  __m256 high;  // outputs 8..15
};

struct Dots {
  __m256i low;
  __m256i high;
};

inline void add_block(Sums* sums, Dots dots, const Sums& scales, float lhs_scale) {
  const __m256 scale = _mm256_set1_ps(lhs_scale);
  sums->low = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dots.low), _mm256_mul_ps(scales.low, scale), sums->low);
  sums->high = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dots.high), _mm256_mul_ps(scales.high, scale), sums->high);
}

inline void store_row_16(const elms_gemm_args* args, int32_t row, int32_t column, const Sums& sums) {
  store_row_8(args, row, column, sums.low);
  if (args->n - column > 8) store_row_8(args, row, column + 8, sums.high);
}

template <typename Weights, int kRows, typename Source>
inline void add_rows(const Source& w, const LhsBlock* lhs, const Sums& scales, Sums* sums) {
  reload(&w);
  Dots dots[kRows];
  Weights::template dot_rows<kRows>(w, lhs, dots);
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) add_block(&sums[r], dots[r], scales, lhs[r].scale);
}

template <typename Weights, typename Source>
inline void add_tile(const Source& w, const LhsBlock* lhs, int32_t n_rows, const Sums& scales, Sums* sums) {
  static_assert(kRowsTogether == 4, "the switch has what four leave over");
  for (; n_rows >= kRowsTogether; n_rows -= kRowsTogether, lhs += kRowsTogether, sums += kRowsTogether) {
    add_rows<Weights, kRowsTogether>(w, lhs, scales, sums);
  }
  switch (n_rows) {
    case 3:
      return add_rows<Weights, 3>(w, lhs, scales, sums);
    case 2:
      return add_rows<Weights, 2>(w, lhs, scales, sums);
    case 1:
      return add_rows<Weights, 1>(w, lhs, scales, sums);
    default:
      return;
  }
}

template <typename Weights>
void gemm_tile(const elms_gemm_args* args, const uint8_t* panel, int32_t column, int32_t row,
               int32_t n_rows) {
  using Block = typename Weights::Block;
  const int32_t n_blocks = args->k / ELMS_QUANT_BLOCK;
  const size_t stride = block_stride(args, sizeof(Block));
  const LhsBlock* lhs = static_cast<const LhsBlock*>(args->lhs) + tile_offset(row, n_blocks);
  typename Weights::Decoded decoded;
  Sums sums[kMr];
  for (int32_t r = 0; r < n_rows; ++r) sums[r] = {_mm256_setzero_ps(), _mm256_setzero_ps()};
  for (int32_t b = 0; b < n_blocks; ++b, lhs += n_rows, panel += stride) {
    const Block& block = *reinterpret_cast<const Block*>(panel);
    const Sums scales = {widen_scales(block.scale), widen_scales(block.scale + 8)};
    if (n_rows <= kFewRows) {
      add_tile<Weights>(block, lhs, n_rows, scales, sums);
    } else {
      Weights::decode(block, &decoded);
      add_tile<Weights>(decoded, lhs, n_rows, scales, sums);
    }
  }
  for (int32_t r = 0; r < n_rows; ++r) store_row_16(args, row + r, column, sums[r]);
}

/// One row x kPanels panels: a whole group, or neighbours one behind the other.
template <typename Weights, int kPanels, bool kIsGroup>
void gemv_panels(const elms_gemm_args* args, const uint8_t* panel, int32_t column) {
  using Block = typename Weights::Block;
  const int32_t n_blocks = args->k / ELMS_QUANT_BLOCK;
  const LhsBlock* lhs = static_cast<const LhsBlock*>(args->lhs);
  const size_t stride = block_stride(args, sizeof(Block));
  const size_t distance = kIsGroup ? sizeof(Block) : args->panel_stride_bytes;
  const uint8_t* panels[kPanels];
  Sums sums[kPanels];
  for (int p = 0; p < kPanels; ++p) {
    panels[p] = panel + static_cast<size_t>(p) * distance;
    sums[p] = {_mm256_setzero_ps(), _mm256_setzero_ps()};
  }
  // A whole group is one run of memory, which goes on with the next one where k is not cut.
  const bool is_whole = static_cast<size_t>(n_blocks) * sizeof(Block) == args->panel_stride_bytes;
  const int32_t n_foreseen = is_whole ? n_blocks : n_blocks - static_cast<int32_t>(kAheadBytes / stride) - 1;
  for (int32_t b = 0; b < n_blocks; ++b) {
    if (kIsGroup && kPanels > 1 && b < n_foreseen) {
      for (size_t byte = 0; byte < stride; byte += 64) ELMS_PREFETCH(panels[0] + kAheadBytes + byte);
    }
#pragma GCC unroll 8
    for (int p = 0; p < kPanels; ++p) {
      const Block& block = *reinterpret_cast<const Block*>(panels[p]);
      const Sums scales = {widen_scales(block.scale), widen_scales(block.scale + 8)};
      Dots dots;
      Weights::template dot_rows<1>(block, lhs + b, &dots);
      add_block(&sums[p], dots, scales, lhs[b].scale);
      panels[p] += stride;
    }
  }
  for (int p = 0; p < kPanels; ++p) store_row_16(args, 0, column + p * kNr, sums[p]);
}

template <typename Weights>
struct Kernel {
  static constexpr int32_t kMr = ::kMr;
  static constexpr int32_t kNr = ::kNr;
  static constexpr int32_t kLhsBlockBytes = sizeof(LhsBlock);
  static constexpr size_t kBlockBytes = sizeof(typename Weights::Block);
  static constexpr int kSideBySide = 4;

  static void tile(const elms_gemm_args* args, const uint8_t* panel, int32_t column, int32_t row,
                   int32_t n_rows) {
    gemm_tile<Weights>(args, panel, column, row, n_rows);
  }
  template <int kPanels, bool kIsGroup>
  static void gemv(const elms_gemm_args* args, const uint8_t* panel, int32_t column) {
    gemv_panels<Weights, kPanels, kIsGroup>(args, panel, column);
  }
};

}  // namespace

#endif /* ELMS_KERNELS_AVX2_GEMM_QUANT_H_ */
