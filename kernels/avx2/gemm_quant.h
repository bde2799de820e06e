/* What GEMM and GEMV over quantised weights in panels of 16 outputs share. Q8 and Q4 differ in Weights:
 *
 *   struct Weights::Block                the panel's block; `uint16_t scale[16]` comes first
 *   struct Weights::Lhs                  a block of one row of activations; `scale` is its scale
 *   Weights::lhs(args)                   the first of them
 *   Weights::dot_row(block, lhs, dots)   exact dot products of 16 outputs with one row
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
constexpr size_t kAheadBytes = 1536;  // found by trying

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

inline void store_row_16(const elms_gemm_args* args, int32_t row, int32_t column, const Sums& sums) {
  store_row_8(args, row, column, sums.low);
  if (args->n - column > 8) store_row_8(args, row, column + 8, sums.high);
}

/// One row x kPanels panels: a whole group, or neighbours one behind the other.
template <typename Weights, int kPanels, bool kIsGroup>
void gemv_panels(const elms_gemm_args* args, const uint8_t* panel, int32_t column) {
  using Block = typename Weights::Block;
  const int32_t n_blocks = args->k / ELMS_QUANT_BLOCK;
  const auto* lhs = Weights::lhs(args);
  const size_t stride = block_stride(args, sizeof(Block));
  const size_t distance = kIsGroup ? sizeof(Block) : args->panel_stride_bytes;
  const uint8_t* panels[kPanels];
  Sums sums[kPanels];
  for (int p = 0; p < kPanels; ++p) {
    panels[p] = panel + static_cast<size_t>(p) * distance;
    sums[p] = no_sums();
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
      Dots dots;
      Weights::dot_row(block, lhs[b], &dots);
      add_block(&sums[p], dots, scales_of(block), lhs[b].scale);
      panels[p] += stride;
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
  static constexpr int kSideBySide = 4;

  static void tile(const elms_gemm_args* args, const uint8_t* panel, int32_t column, int32_t row,
                   int32_t n_rows) {
    Weights::tile(args, panel, column, row, n_rows);
  }
  template <int kPanels, bool kIsGroup>
  static void gemv(const elms_gemm_args* args, const uint8_t* panel, int32_t column) {
    gemv_panels<Weights, kPanels, kIsGroup>(args, panel, column);
  }
};

}  // namespace

#endif /* ELMS_KERNELS_AVX2_GEMM_QUANT_H_ */
