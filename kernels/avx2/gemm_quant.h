/* What GEMM and GEMV over quantised weights in panels of 16 outputs share. Q8 and Q4 differ in Weights:
 *
 *   struct Weights::Block                the panel's block; `uint16_t scale[16]` comes first
 *   struct Weights::Lhs                  a block of one row of activations; `scale` is its scale
 *   Weights::lhs(args)                   the first of them
 *   Weights::dot_rows<kPanels, kRows>(w, lhs, dots)   exact dot products of kRows rows with the 16 outputs of
 *                                        each of kPanels blocks, dots[row][panel]
 *   Weights::kTilePanels, Weights::tile  what gemm_loops.h wants of a Kernel
 *
 * Their products are written for few instructions, since a core that a hypervisor shares between two machines
 * starts about three in a cycle (ARCHITECTURE.md): what is loaded meets as many operands as registers allow.
 */
#ifndef ELMS_KERNELS_AVX2_GEMM_QUANT_H_
#define ELMS_KERNELS_AVX2_GEMM_QUANT_H_

#include "kernels/avx2/lhs_q8.h"
#include "kernels/gemm_loops.h"

namespace {

constexpr int32_t kNr = 16;
constexpr int32_t kForeseenBlocks = 2;  // of the next panels, where k is cut; found by trying

struct Sums {
  __m256 low;   // outputs 0..7
  __m256 high;  // outputs 8..15
};

struct Dots {
  __m256i low;
  __m256i high;
};

inline Sums no_sums() {
  return {_mm256_setzero_ps(), _mm256_setzero_ps()};
}

template <typename Block>
inline Sums scales_of(const Block& block) {
  return {widen_scales(block.scale), widen_scales(block.scale + 8)};
}

inline void add_block(Sums* sums, Dots dots, const Sums& scales, float lhs_scale) {
  const __m256 scale = _mm256_set1_ps(lhs_scale);
  sums->low = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dots.low), _mm256_mul_ps(scales.low, scale), sums->low);
  sums->high = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dots.high), _mm256_mul_ps(scales.high, scale), sums->high);
}

inline void prefetch(const uint8_t* bytes, size_t n) {
  for (size_t i = 0; i < n; i += 64) ELMS_PREFETCH(bytes + i);
}

inline void store_row_16(const elms_gemm_args* args, int32_t row, int32_t column, const Sums& sums) {
  store_row_8(args, row, column, sums.low);
  if (args->n - column > 8) store_row_8(args, row, column + 8, sums.high);
}

/// One row x kPanels panels that lie one behind the other. Where k is cut the first blocks of the next panels
/// are asked for ahead, since hardware foresees nothing behind the gap.
template <typename Weights, int kPanels>
void gemv_panels(const elms_gemm_args* args, const uint8_t* panel, int32_t column) {
  using Block = typename Weights::Block;
  const int32_t n_blocks = args->k / ELMS_QUANT_BLOCK;
  const auto* lhs = Weights::lhs(args);
  const Block* w[kPanels];
  Sums sums[kPanels];
  for (int p = 0; p < kPanels; ++p) {
    w[p] = reinterpret_cast<const Block*>(panel + static_cast<size_t>(p) * args->panel_stride_bytes);
    sums[p] = no_sums();
  }
  const size_t gap = args->panel_stride_bytes - static_cast<size_t>(n_blocks) * sizeof(Block);
  const size_t to_next = (kPanels - 1) * args->panel_stride_bytes + gap + kForeseenBlocks * sizeof(Block);
  const int32_t last_blocks = gap > 0 ? n_blocks - kForeseenBlocks : n_blocks;
  for (int32_t b = 0; b < n_blocks; ++b) {
    if (b >= last_blocks) {
      for (int p = 0; p < kPanels; ++p)
        prefetch(reinterpret_cast<const uint8_t*>(w[p]) + to_next, sizeof(Block));
    }
    Dots dots[1][kPanels];
    Weights::template dot_rows<kPanels, 1>(w, lhs + b, dots);
#pragma GCC unroll 4
    for (int p = 0; p < kPanels; ++p) {
      add_block(&sums[p], dots[0][p], scales_of(*w[p]), lhs[b].scale);
      ++w[p];
    }
  }
  for (int p = 0; p < kPanels; ++p) store_row_16(args, 0, column + p * kNr, sums[p]);
}

template <typename Weights>
struct Kernel {
  static constexpr int32_t kMr = ::kMr;
  static constexpr int32_t kNr = ::kNr;
  static constexpr int32_t kTilePanels = Weights::kTilePanels;
  static constexpr int32_t kLhsBlockBytes = sizeof(typename Weights::Lhs);
  static constexpr size_t kBlockBytes = sizeof(typename Weights::Block);
  static constexpr bool kHasGroups = false;
  static constexpr int kSideBySide = 4, kSideBySideWhole = 4;

  static void tile(const elms_gemm_args* args, const uint8_t* panel, int32_t column, int32_t row,
                   int32_t n_rows) {
    Weights::tile(args, panel, column, row, n_rows);
  }
  template <int kPanels, bool kIsGroup>
  static void gemv(const elms_gemm_args* args, const uint8_t* panel, int32_t column) {
    static_assert(!kIsGroup, "panels of these kernels lie one by one");
    gemv_panels<Weights, kPanels>(args, panel, column);
  }
};

}  // namespace

#endif /* ELMS_KERNELS_AVX2_GEMM_QUANT_H_ */
