/* GEMM and GEMV over float weights in panels of 8 outputs, [k][8] values each; f32, f16 and bf16 differ in
 * how 8 values become two registers. */
#ifndef ELMS_KERNELS_NEON_GEMM_FLOAT_H_
#define ELMS_KERNELS_NEON_GEMM_FLOAT_H_

#include "kernels/neon/float_tile.h"

namespace {

constexpr int32_t kRowChunk = 96;     // rows whose sums are kept at hand (3 KiB)
constexpr int32_t kDepthChunk = 256;  // k of one panel that stays in the first-level cache (8 KiB of f32)
constexpr int32_t kGemvPanels = 4;    // enough independent sums to hide the latency of a multiply-add

inline const uint8_t* panel_at(const elms_gemm_args* args, int32_t column) {
  return args->panels + static_cast<size_t>(column / kTileColumns) * args->panel_stride_bytes;
}

inline const float* lhs_row(const elms_gemm_args* args, int32_t row) {
  return reinterpret_cast<const float*>(static_cast<const uint8_t*>(args->lhs) +
                                        static_cast<size_t>(row) * args->lhs_stride_bytes);
}

template <typename Columns>
void gemm_panel(const elms_gemm_args* args, int32_t column, int32_t row_begin, int32_t n_rows) {
  float sums[kRowChunk * kTileColumns];
  const uint8_t* panel = panel_at(args, column);
  const size_t lhs_stride = args->lhs_stride_bytes / sizeof(float);
  if (args->k == 0) memset(sums, 0, sizeof sums);
  for (int32_t k = 0; k < args->k; k += kDepthChunk) {
    const int32_t depth = elms_min_i32(kDepthChunk, args->k - k);
    for (int32_t r = 0; r < n_rows; r += kTileRows) {
      float_tile_rows<Columns>(elms_min_i32(kTileRows, n_rows - r), lhs_row(args, row_begin + r) + k,
                               lhs_stride, panel + static_cast<size_t>(k) * Columns::kBytes, Columns::kBytes,
                               sums + r * kTileColumns, kTileColumns, depth, k > 0);
    }
  }
  for (int32_t r = 0; r < n_rows; ++r) {
    const float* sum = sums + r * kTileColumns;
    store_row_8(args, row_begin + r, column, vld1q_f32(sum), vld1q_f32(sum + 4));
  }
}

/// One row times kPanels panels.
template <typename Columns, int kPanels>
void gemv_panels(const elms_gemm_args* args, int32_t column) {
  const float* x = static_cast<const float*>(args->lhs);
  const uint8_t* panel = panel_at(args, column);
  Columns8 sums[kPanels];
  for (int p = 0; p < kPanels; ++p) sums[p] = {vdupq_n_f32(0.0f), vdupq_n_f32(0.0f)};
  for (int32_t k = 0; k < args->k; ++k, panel += Columns::kBytes) {
    const float32x4_t value = vld1q_dup_f32(x + k);
    for (int p = 0; p < kPanels; ++p) {
      const Columns8 w = Columns::load(panel + static_cast<size_t>(p) * args->panel_stride_bytes);
      sums[p].low = vfmaq_f32(sums[p].low, value, w.low);
      sums[p].high = vfmaq_f32(sums[p].high, value, w.high);
    }
  }
  for (int p = 0; p < kPanels; ++p)
    store_row_8(args, 0, column + p * kTileColumns, sums[p].low, sums[p].high);
}

template <typename Columns>
void gemm_float(const elms_gemm_args* args) {
  if (args->m == 1) {
    int32_t column = 0;
    for (; args->n - column > (kGemvPanels - 1) * kTileColumns; column += kGemvPanels * kTileColumns) {
      gemv_panels<Columns, kGemvPanels>(args, column);
    }
    for (; column < args->n; column += kTileColumns) gemv_panels<Columns, 1>(args, column);
    return;
  }
  for (int32_t row = 0; row < args->m; row += kRowChunk) {
    for (int32_t column = 0; column < args->n; column += kTileColumns) {
      gemm_panel<Columns>(args, column, row, elms_min_i32(kRowChunk, args->m - row));
    }
  }
}

/// Value `i` of a panel's k goes to place kOrder(i).
template <typename Stored, int32_t (*kOrder)(int32_t)>
void pack_float(const elms_pack_args* args) {
  for (int32_t i = 0; i < kTileColumns; ++i) {
    const uint8_t* row = static_cast<const uint8_t*>(args->rows[i]);
    uint8_t* out = args->panel + static_cast<size_t>(kOrder(i)) * sizeof(Stored);
    for (int32_t k = 0; k < args->k_full; ++k, out += kTileColumns * sizeof(Stored)) {
      Stored value{};
      if (row != nullptr) memcpy(&value, row + static_cast<size_t>(k) * sizeof value, sizeof value);
      memcpy(out, &value, sizeof value);
    }
  }
}

}  // namespace

#endif /* ELMS_KERNELS_NEON_GEMM_FLOAT_H_ */
