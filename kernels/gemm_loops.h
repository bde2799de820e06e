/* The loops around a tile: chunks of rows whose activations stay in the second-level cache, then panels, then
 * tiles of rows, so that a panel is read from memory once per chunk and from the first-level cache
 * afterwards.
 *
 * Kernel gives kMr, kNr, kLhsBlockBytes (of one row and one block of k) and
 *   static void tile(args, panel, column, row, n_rows)   outputs [row .. row + n_rows) x [column .. column + kNr)
 * and where the GEMV is of these loops too: kPanelBlockBytes (of one block of a panel), kGemvPanels (to be read side by
 * side: as many as leave registers free) and
 *   template <int kPanels> static void gemv(args, panel, column)   the only row x outputs of kPanels neighbouring panels
 */
#ifndef ELMS_KERNELS_GEMM_LOOPS_H_
#define ELMS_KERNELS_GEMM_LOOPS_H_

#include "kernels/common.h"

namespace {

constexpr int32_t kLhsChunkBytes = 256 * 1024;

/// One row. Weights stream from memory in one run, which the hardware foresees by itself: asking for lines ahead made
/// this slower. Where k is cut the run ends with every panel, and it takes the hardware a while to foresee the next one;
/// reading several panels side by side overlaps these starts.
template <typename Kernel>
void gemv_by_panels(const elms_gemm_args* args) {
  constexpr int32_t kTogether = Kernel::kGemvPanels, kGroup = kTogether * Kernel::kNr;
  const size_t used_bytes = static_cast<size_t>(args->k / ELMS_QUANT_BLOCK) * Kernel::kPanelBlockBytes;
  const int32_t grouped = used_bytes == args->panel_stride_bytes ? 0 : args->n / kGroup * kGroup;
  const uint8_t* panel = args->panels;
  int32_t column = 0;
  for (; column < grouped; column += kGroup, panel += kTogether * args->panel_stride_bytes) {
    Kernel::template gemv<kTogether>(args, panel, column);
  }
  for (; column < args->n; column += Kernel::kNr, panel += args->panel_stride_bytes) {
    Kernel::template gemv<1>(args, panel, column);
  }
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

template <typename Kernel>
void gemm_or_gemv(const elms_gemm_args* args) {
  args->m == 1 ? gemv_by_panels<Kernel>(args) : gemm_by_panels<Kernel>(args);
}

}  // namespace

#endif /* ELMS_KERNELS_GEMM_LOOPS_H_ */
