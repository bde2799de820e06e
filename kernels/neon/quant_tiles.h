/* What the ARM kernels over quantised weights have in common: how activations are laid out, and the loops around a tile.
 *
 * Panels have 8 outputs, and a GEMM computes 8 rows by 4 of them at a time, one half of the panel after the other:
 * sums and the block's integer sums are then 16 registers, and 16 are left for what is multiplied. Activations lie in
 * tiles of 8 rows, block after block, so that one stream feeds a tile; rows past the last are zeros. A single row
 * (GEMV) lies in tiles of its own size, which is all that it reads.
 */
#ifndef ELMS_KERNELS_NEON_QUANT_TILES_H_
#define ELMS_KERNELS_NEON_QUANT_TILES_H_

#include "kernels/gemm_loops.h"
#include "kernels/neon/neon.h"

namespace {

constexpr int32_t kMr = 8;
constexpr int32_t kNr = 8;
constexpr int kHalves = 2;  // of a panel, 4 outputs each

/// Tile<kRows> is one block of kRows rows; put(row, scale, q) writes one of them.
template <template <int> class Tile>
size_t lhs_tiles_bytes(int32_t m, int32_t k) {
  const size_t n_blocks = static_cast<size_t>(k / ELMS_QUANT_BLOCK);
  if (m == 1) return n_blocks * sizeof(Tile<1>);
  return static_cast<size_t>(elms_ceil_div(m, kMr)) * n_blocks * sizeof(Tile<kMr>);
}

template <typename Tile>
void quantise_row(const float* values, int32_t n_blocks, int row, Tile* tiles) {
  for (int32_t b = 0; b < n_blocks; ++b) {
    int8x16_t q[2];
    const float scale = quantise_32(values + static_cast<size_t>(b) * ELMS_QUANT_BLOCK, q);
    tiles[b].put(row, scale, q);
  }
}

template <template <int> class Tile>
void prepare_lhs_tiles(const float* x, size_t x_stride, int32_t m, int32_t k, int32_t row_begin, int32_t row_end,
                       void* lhs) {
  const int32_t n_blocks = k / ELMS_QUANT_BLOCK;
  if (m == 1) return quantise_row(x, n_blocks, 0, static_cast<Tile<1>*>(lhs));
  for (int32_t row = row_begin; row < elms_ceil_div(row_end, kMr) * kMr; ++row) {
    Tile<kMr>* tiles = static_cast<Tile<kMr>*>(lhs) + static_cast<size_t>(row / kMr) * n_blocks;
    if (row < row_end) {
      quantise_row(x + static_cast<size_t>(row) * x_stride, n_blocks, row % kMr, tiles);
      continue;
    }
    const int8x16_t zeros[2] = {vdupq_n_s8(0), vdupq_n_s8(0)};
    for (int32_t b = 0; b < n_blocks; ++b) tiles[b].put(row % kMr, 0.0f, zeros);
  }
}

/// Sums of 4 outputs of one row from `column` on, as many as the matrix has.
inline void store_row_4(const elms_gemm_args* args, int32_t row, int32_t column, float32x4_t sums) {
  if (args->n - column >= 4) {
    float* dst = args->dst + static_cast<size_t>(row) * args->dst_stride + column;
    if (args->bias != nullptr) sums = vaddq_f32(sums, vld1q_f32(args->bias + column));
    if (args->accumulate) sums = vaddq_f32(vld1q_f32(dst), sums);
    vst1q_f32(dst, sums);
    return;
  }
  float values[4];
  vst1q_f32(values, sums);
  for (int32_t i = 0; i < args->n - column; ++i) elms_store_output(args, row, column + i, values[i]);
}

/// Product gives
///   Block, Lhs<kRows>                                     of panels and activations
///   gemm<kRows>(args, blocks, half, lhs, column, row, n_rows)   rows of a tile by 4 outputs; kRows is 4 or 8
///   gemv(args, blocks, lhs, column)                             the only row by 8 outputs
template <typename Product>
struct Tiled {
  static constexpr int32_t kMr = ::kMr;
  static constexpr int32_t kNr = ::kNr;
  static constexpr int32_t kLhsBlockBytes = sizeof(typename Product::template Lhs<kMr>) / kMr;

  static void tile(const elms_gemm_args* args, const uint8_t* panel, int32_t column, int32_t row,
                   int32_t n_rows) {
    const auto* blocks = reinterpret_cast<const typename Product::Block*>(panel);
    const int32_t n_blocks = args->k / ELMS_QUANT_BLOCK;
    const auto* lhs = static_cast<const typename Product::template Lhs<kMr>*>(args->lhs) +
                      static_cast<size_t>(row / kMr) * n_blocks;
    for (int half = 0; half < kHalves && column + 4 * half < args->n; ++half) {
      n_rows > 4 ? Product::template gemm<8>(args, blocks, half, lhs, column + 4 * half, row, n_rows)
                 : Product::template gemm<4>(args, blocks, half, lhs, column + 4 * half, row, n_rows);
    }
  }

  static void run(const elms_gemm_args* args) {
    if (args->m > 1) return gemm_by_panels<Tiled>(args);
    const auto* lhs = static_cast<const typename Product::template Lhs<1>*>(args->lhs);
    for (int32_t column = 0; column < args->n; column += kNr) {
      const uint8_t* panel = args->panels + static_cast<size_t>(column / kNr) * args->panel_stride_bytes;
      Product::gemv(args, reinterpret_cast<const typename Product::Block*>(panel), lhs, column);
    }
  }
};

}  // namespace

#endif /* ELMS_KERNELS_NEON_QUANT_TILES_H_ */
