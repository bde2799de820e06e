/* The loops around a tile: chunks of rows whose activations stay in the second-level cache, then panels, then
 * tiles of rows, so that a panel is read from memory once per chunk and from the first-level cache
 * afterwards.
 *
 * Kernel gives kMr, kNr, kLhsBlockBytes (of one row and one block of k) and
 *   static void tile(args, panel, column, row, n_rows)   outputs [row .. row + n_rows) x [column .. column +
 * kNr)
 */
#ifndef ELMS_KERNELS_GEMM_LOOPS_H_
#define ELMS_KERNELS_GEMM_LOOPS_H_

#include "kernels/common.h"

namespace {

constexpr int32_t kLhsChunkBytes = 256 * 1024;

template <typename Kernel>
void gemm_by_panels(const elms_gemm_args* args) {
  constexpr int32_t kTileBlockBytes = Kernel::kMr * Kernel::kLhsBlockBytes;
  const int32_t tile_bytes = elms_ceil_div(args->k + 1, ELMS_QUANT_BLOCK) * kTileBlockBytes;
  const int32_t tiles = kLhsChunkBytes / tile_bytes;
  const int32_t chunk = (tiles > 0 ? tiles : 1) * Kernel::kMr;
  for (int32_t begin = 0; begin < args->m; begin += chunk) {
    const int32_t end = elms_min_i32(args->m, begin + chunk);
    for (int32_t column = 0; column < args->n; column += Kernel::kNr) {
      const uint8_t* panel =
          args->panels + static_cast<size_t>(column / Kernel::kNr) * args->panel_stride_bytes;
      for (int32_t row = begin; row < end; row += Kernel::kMr) {
        Kernel::tile(args, panel, column, row, elms_min_i32(Kernel::kMr, end - row));
      }
    }
  }
}

}  // namespace

#endif /* ELMS_KERNELS_GEMM_LOOPS_H_ */
