/* The loops around a tile: chunks of rows whose activations stay in the second-level cache, then panels, then
 * tiles of rows, so that a panel is read from memory once per chunk and from the first-level cache
 * afterwards.
 *
 * Kernel gives kMr, kNr, kTilePanels, kLhsBlockBytes (of one row and one block of k) and
 *   static void tile(args, panel, column, row, n_rows)   outputs [row .. row + n_rows) x [column .. column + kTilePanels * kNr),
 *                                                        or as many of them as the matrix has
 * and where the GEMV is of these loops too: kBlockBytes (of one block of a panel), kPanelGroup (panels of a group at most) and
 *   static constexpr int panels_together(group, is_whole)   how many panels are read together: whole groups, where there are
 *                                                           any; without, it may matter whether k is whole or cut
 *   template <int kPanels, int kGroup> static void gemv(args, column)   the only row x outputs of kPanels panels, which are
 *                                                           whole groups, or of one panel
 */
#ifndef ELMS_KERNELS_GEMM_LOOPS_H_
#define ELMS_KERNELS_GEMM_LOOPS_H_

#include "kernels/common.h"

namespace {

constexpr int32_t kLhsChunkBytes = 256 * 1024;

/// Block b of the panel that is being packed.
template <typename Block>
Block* block_to_pack(const elms_pack_args* args, int32_t b) {
  const size_t stride = args->block_stride_bytes == 0 ? sizeof(Block) : args->block_stride_bytes;
  return reinterpret_cast<Block*>(args->panel + static_cast<size_t>(b) * stride);
}

/// The panel at a column, and where its blocks lie.
inline const uint8_t* panel_at(const elms_gemm_args* args, int32_t column, int32_t nr, size_t block_bytes) {
  const int32_t group = args->panel_group > 1 ? args->panel_group : 1, index = column / nr;
  return args->panels + static_cast<size_t>(index - index % group) * args->panel_stride_bytes +
         static_cast<size_t>(index % group) * block_bytes;
}
inline size_t block_stride(const elms_gemm_args* args, size_t block_bytes) {
  return args->panel_group > 1 ? static_cast<size_t>(args->panel_group) * block_bytes : block_bytes;
}

/// Outputs from `column` on, kPanels at a time; what is left over by halves of that, and at last one by one.
template <typename Kernel, int kPanels, int kGroup>
void gemv_together(const elms_gemm_args* args, int32_t column) {
  constexpr int32_t kOutputs = kPanels * Kernel::kNr;
  for (; kPanels == 1 ? column < args->n : column + kOutputs <= args->n; column += kOutputs) {
    Kernel::template gemv<kPanels, kGroup>(args, column);
  }
  if constexpr (kPanels > 1) gemv_together<Kernel, (kPanels / 2 >= kGroup ? kPanels / 2 : 1), kGroup>(args, column);
}

template <typename Kernel, int kGroup>
void gemv_by_groups(const elms_gemm_args* args) {
  if constexpr (kGroup > 1 && kGroup <= Kernel::kPanelGroup) {
    if (args->panel_group == kGroup) return gemv_together<Kernel, Kernel::panels_together(kGroup, false), kGroup>(args, 0);
    gemv_by_groups<Kernel, kGroup / 2>(args);
  } else if (static_cast<size_t>(args->k / ELMS_QUANT_BLOCK) * Kernel::kBlockBytes == args->panel_stride_bytes) {
    gemv_together<Kernel, Kernel::panels_together(1, true), 1>(args, 0);
  } else {
    gemv_together<Kernel, Kernel::panels_together(1, false), 1>(args, 0);
  }
}

/// One row. Weights stream from memory in one run or in several side by side, whichever was faster: on a Zen 3 four runs come
/// at 1.2 times the rate of one. Asking for lines ahead gained nothing. A cut k ends a run with every group of panels, and short
/// runs are read more slowly (most likely what the hardware foresees behind their ends is read in vain): so groups.
template <typename Kernel>
void gemv_by_panels(const elms_gemm_args* args) {
  gemv_by_groups<Kernel, Kernel::kPanelGroup>(args);
}

template <typename Kernel>
void gemm_by_panels(const elms_gemm_args* args) {
  constexpr int32_t kTileBlockBytes = Kernel::kMr * Kernel::kLhsBlockBytes;
  const int32_t tile_bytes = elms_ceil_div(args->k + 1, ELMS_QUANT_BLOCK) * kTileBlockBytes;
  const int32_t tiles = kLhsChunkBytes / tile_bytes;
  const int32_t chunk = (tiles > 0 ? tiles : 1) * Kernel::kMr;
  for (int32_t begin = 0; begin < args->m; begin += chunk) {
    const int32_t end = elms_min_i32(args->m, begin + chunk);
    for (int32_t column = 0; column < args->n; column += Kernel::kTilePanels * Kernel::kNr) {
      const uint8_t* panel = panel_at(args, column, Kernel::kNr, Kernel::kBlockBytes);
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
