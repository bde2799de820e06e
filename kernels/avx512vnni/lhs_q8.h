/* Quantised activations of the AVX-512 VNNI kernels: tiles of 32 rows, block after block, and within a block
 * row after row. The last tile has as many rows as are left. */
#ifndef ELMS_KERNELS_AVX512VNNI_LHS_Q8_H_
#define ELMS_KERNELS_AVX512VNNI_LHS_Q8_H_

#include <immintrin.h>

#include "kernels/common.h"

namespace {

constexpr int32_t kMr = 32;

struct LhsBlock {
  float scale;
  /// What a sum of products starts from, because weights are stored with an offset to make them unsigned:
  /// -128 * (sum of q) for int8 weights, -8 * (sum of q) for int4.
  int32_t q8_start;
  int32_t q4_start;
  int8_t q[ELMS_QUANT_BLOCK];
};
static_assert(sizeof(LhsBlock) == 44, "prepare_lhs and the GEMM agree on this");

/// First block of the tile that starts at `row`, a multiple of kMr.
inline size_t tile_offset(int32_t row, int32_t n_blocks) {
  return static_cast<size_t>(row) * n_blocks;
}

}  // namespace

#endif /* ELMS_KERNELS_AVX512VNNI_LHS_Q8_H_ */
