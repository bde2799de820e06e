/* Quantised activations of the AVX2 kernels, in the two forms that int4 and int8 weights want them: first all
 * LhsBlocks, then all SplitBlocks. Both lie in tiles of 32 rows, block after block, and within a block row
 * after row. The last tile has as many rows as are left, so that a single row is simply a list of blocks. */
#ifndef ELMS_KERNELS_AVX2_LHS_Q8_H_
#define ELMS_KERNELS_AVX2_LHS_Q8_H_

#include "kernels/avx2/avx2.h"

namespace {

constexpr int32_t kMr = 32;

/// For int4 weights.
struct LhsBlock {
  float scale;
  /// -4 * (sum of q) in both halves: what two 16-bit lanes of an output start from, so that unsigned nibbles
  /// (0..15) give the sums of signed ones (-8..7).
  int16_t nibble_offset[2];
  int8_t q[ELMS_QUANT_BLOCK];
};
static_assert(sizeof(LhsBlock) == 40, "prepare_lhs and the GEMM agree on this");

/// The same values for int8 weights.
struct SplitBlock {
  float scale;
  int32_t negative;  ///< the sum of the magnitudes of what is negative
  uint8_t magnitude[ELMS_QUANT_BLOCK];
  int8_t sign[ELMS_QUANT_BLOCK];  ///< -1 where negative, else 0
};
static_assert(sizeof(SplitBlock) == 72, "prepare_lhs and the GEMM agree on this");

/// First block of the tile that starts at `row`, a multiple of kMr.
inline size_t tile_offset(int32_t row, int32_t n_blocks) {
  return static_cast<size_t>(row) * n_blocks;
}

/// Bytes of the LhsBlocks of m rows, after which the SplitBlocks begin.
inline size_t lhs_blocks_bytes(int32_t m, int32_t n_blocks) {
  constexpr size_t kLine = 64;
  return (static_cast<size_t>(m) * n_blocks * sizeof(LhsBlock) + kLine - 1) / kLine * kLine;
}

}  // namespace

#endif /* ELMS_KERNELS_AVX2_LHS_Q8_H_ */
