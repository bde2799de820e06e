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

/* How long before the end of a panel its GEMV asks for the next one: about what memory takes to answer. */
constexpr int32_t kGemvBlocksAhead = 12;

/// The panel after the one at `column`, where a cut k leaves a gap before it that ends the run of addresses which the
/// hardware has foreseen; null where there is no gap, or no such panel.
inline const uint8_t* panel_after_gap(const elms_gemm_args* args, const uint8_t* panel, int32_t column, int32_t nr,
                                      size_t block_bytes) {
  const size_t used_bytes = static_cast<size_t>(args->k / ELMS_QUANT_BLOCK) * block_bytes;
  const bool last = column + nr >= args->n;
  return last || used_bytes == args->panel_stride_bytes ? nullptr : panel + args->panel_stride_bytes;
}

inline void prefetch_bytes(const void* begin, size_t size_bytes) {
  const char* address = static_cast<const char*>(begin);
  for (size_t line = 0; line < size_bytes; line += 64) ELMS_PREFETCH(address + line);
}

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
