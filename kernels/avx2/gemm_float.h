/* GEMM and GEMV over float weights in panels of 16 outputs, [k][16] values each; f32, f16 and bf16 differ in
 * how 16 values become two registers. */
#ifndef ELMS_KERNELS_AVX2_GEMM_FLOAT_H_
#define ELMS_KERNELS_AVX2_GEMM_FLOAT_H_

#include "kernels/avx2/float_tile.h"

namespace {

constexpr int32_t kRowChunk = 96;     // rows whose sums are kept at hand (6 KiB)
constexpr int32_t kDepthChunk = 256;  // k of one panel that stays in the first-level cache (16 KiB of f32)
constexpr int32_t kGemvPanels = 4;    // enough independent sums to hide the latency of a multiply-add

inline const uint8_t* panel_at(const elms_gemm_args* args, int32_t column) {
  return args->panels + static_cast<size_t>(column / kTileColumns) * args->panel_stride_bytes;
}

inline const float* lhs_row(const elms_gemm_args* args, int32_t row) {
  return reinterpret_cast<const float*>(static_cast<const uint8_t*>(args->lhs) +
                                        static_cast<size_t>(row) * args->lhs_stride_bytes);
}

inline void store_row_16(const elms_gemm_args* args, int32_t row, int32_t column, const float* sums) {
  store_row_8(args, row, column, _mm256_loadu_ps(sums));
  if (args->n - column > 8) store_row_8(args, row, column + 8, _mm256_loadu_ps(sums + 8));
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
  for (int32_t r = 0; r < n_rows; ++r) store_row_16(args, row_begin + r, column, sums + r * kTileColumns);
}

/// One row times kPanels panels.
template <typename Columns, int kPanels>
void gemv_panels(const elms_gemm_args* args, int32_t column) {
  const float* x = static_cast<const float*>(args->lhs);
  const uint8_t* panel = panel_at(args, column);
  Columns16 sums[kPanels];
  for (int p = 0; p < kPanels; ++p) sums[p] = {_mm256_setzero_ps(), _mm256_setzero_ps()};
  for (int32_t k = 0; k < args->k; ++k, panel += Columns::kBytes) {
    const __m256 value = _mm256_broadcast_ss(x + k);
    for (int p = 0; p < kPanels; ++p) {
      const uint8_t* address = panel + static_cast<size_t>(p) * args->panel_stride_bytes;
      const Columns16 w = Columns::load(address);
      sums[p].low = _mm256_fmadd_ps(value, w.low, sums[p].low);
      sums[p].high = _mm256_fmadd_ps(value, w.high, sums[p].high);
    }
  }
  for (int p = 0; p < kPanels; ++p) {
    const int32_t first = column + p * kTileColumns;
    store_row_8(args, 0, first, sums[p].low);
    if (args->n - first > 8) store_row_8(args, 0, first + 8, sums[p].high);
  }
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

#endif /* ELMS_KERNELS_AVX2_GEMM_FLOAT_H_ */
