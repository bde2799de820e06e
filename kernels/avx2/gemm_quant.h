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
constexpr int32_t kPanelGroup = 2;

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

/// First block of the panel at `column`.
template <typename Block>
const Block* block_at(const elms_gemm_args* args, int32_t column) {
  return reinterpret_cast<const Block*>(panel_at(args, column, kNr, sizeof(Block)));
}

inline void store_row_16(const elms_gemm_args* args, int32_t row, int32_t column, const Sums& sums) {
  store_row_8(args, row, column, sums.low);
  if (args->n - column > 8) store_row_8(args, row, column + 8, sums.high);
}

/// One row x kPanels panels: groups side by side, and of each at a time the first panels, then the second
/// ones.
template <typename Weights, int kPanels, int kGroup>
void gemv_panels(const elms_gemm_args* args, int32_t column) {
  using Block = typename Weights::Block;
  constexpr int kTurns = kPanels < kGroup ? 1 : kGroup;
  constexpr int kRuns = kPanels / kTurns;
  const int32_t n_blocks = args->k / ELMS_QUANT_BLOCK;
  const size_t stride = block_stride(args, sizeof(Block)) / sizeof(Block);
  const auto* lhs = Weights::lhs(args);
  const Block* next[kRuns];
  Sums sums[kRuns][kTurns];
  for (int run = 0; run < kRuns; ++run) {
    next[run] = block_at<Block>(args, column + run * kTurns * kNr);
    for (Sums& of_panel : sums[run]) of_panel = no_sums();
  }
  for (int32_t b = 0; b < n_blocks; ++b) {
#pragma GCC unroll 2
    for (int turn = 0; turn < kTurns; ++turn) {
      const Block* w[kRuns];
      for (int run = 0; run < kRuns; ++run) w[run] = next[run] + turn;
      Dots dots[1][kRuns];
      Weights::template dot_rows<kRuns, 1>(w, lhs + b, dots);
#pragma GCC unroll 4
      for (int run = 0; run < kRuns; ++run) {
        add_block(&sums[run][turn], dots[0][run], scales_of(*w[run]), lhs[b].scale);
      }
    }
    for (const Block*& block : next) block += stride;
  }
  for (int p = 0; p < kPanels; ++p) store_row_16(args, 0, column + p * kNr, sums[p / kTurns][p % kTurns]);
}

template <typename Weights>
struct Kernel {
  static constexpr int32_t kMr = ::kMr;
  static constexpr int32_t kNr = ::kNr;
  static constexpr int32_t kTilePanels = Weights::kTilePanels;
  static constexpr int32_t kLhsBlockBytes = sizeof(typename Weights::Lhs);
  static constexpr size_t kBlockBytes = sizeof(typename Weights::Block);
  static constexpr int kPanelGroup = ::kPanelGroup;
  static constexpr int panels_together(int group, bool) { return 4 * group; }

  static void tile(const elms_gemm_args* args, const uint8_t* panel, int32_t column, int32_t row,
                   int32_t n_rows) {
    Weights::tile(args, panel, column, row, n_rows);
  }
  template <int kPanels, int kGroup>
  static void gemv(const elms_gemm_args* args, int32_t column) {
    gemv_panels<Weights, kPanels, kGroup>(args, column);
  }
};

}  // namespace

#endif /* ELMS_KERNELS_AVX2_GEMM_QUANT_H_ */
