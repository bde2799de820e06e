/* What the ARM kernels over quantised weights have in common: how activations are laid out, and the loops
 * around a tile.
 *
 * Panels have 8 outputs, and a GEMM computes 8 rows by 4 of them at a time, one half of the panel after the
 * other: sums and the block's integer sums are then 16 registers, and 16 are left for what is multiplied.
 * Activations lie in tiles of 8 rows, block after block, so that one stream feeds a tile; rows past the last
 * are zeros. A single row (GEMV) lies in tiles of its own size, which is all that it reads.
 */
#ifndef ELMS_KERNELS_NEON_QUANT_TILES_H_
#define ELMS_KERNELS_NEON_QUANT_TILES_H_

#include "kernels/gemm_loops.h"
#include "kernels/neon/neon.h"

namespace {

constexpr int32_t kMr = 8;
constexpr int32_t kNr = 8;
constexpr int kHalves = 2;  // of a panel, 4 outputs each

inline void load_pair(const int8_t* values, int8x16_t pair[2]) {
  pair[0] = vld1q_s8(values);
  pair[1] = vld1q_s8(values + 16);
}

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
void prepare_lhs_tiles(const float* x, size_t x_stride, int32_t m, int32_t k, int32_t row_begin,
                       int32_t row_end, void* lhs) {
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

/// Sums of 4 outputs of `n_rows` rows, from `row` and `column` on, as many as the matrix has.
inline void store_rows_4(const elms_gemm_args* args, int32_t row, int32_t n_rows, int32_t column,
                         const float sums[][4]) {
  if (args->n - column < 4) {
    for (int32_t r = 0; r < n_rows; ++r) {
      for (int32_t i = 0; i < args->n - column; ++i) elms_store_output(args, row + r, column + i, sums[r][i]);
    }
    return;
  }
  float* dst = args->dst + static_cast<size_t>(row) * args->dst_stride + column;
  const float32x4_t bias = args->bias != nullptr ? vld1q_f32(args->bias + column) : vdupq_n_f32(0.0f);
  for (int32_t r = 0; r < n_rows; ++r, dst += args->dst_stride) {
    float32x4_t out = vld1q_f32(sums[r]);
    if (args->bias != nullptr) out = vaddq_f32(out, bias);
    if (args->accumulate) out = vaddq_f32(vld1q_f32(dst), out);
    vst1q_f32(dst, out);
  }
}

/// Product gives
///   Block, Lhs<kRows>                              a block of a panel and of kRows rows of activations
///   gemm<kRows>(blocks, n_blocks, half, lhs, out)  out[kRows][4] = sums of the tile's first rows (4 or 8) by
///   4 outputs dots_of_row(block, lhs, sums)                  sums[half] = integer sums of a panel's 8
///   outputs with the only row to_float(sums)                                 undoes the factor that integer
///   sums carry
template <typename Product>
struct Tiled {
  using Block = typename Product::Block;
  template <int kRows>
  using Lhs = typename Product::template Lhs<kRows>;

  static constexpr int32_t kMr = ::kMr;
  static constexpr int32_t kNr = ::kNr;
  static constexpr int32_t kTilePanels = 1;
  static constexpr int32_t kLhsBlockBytes = sizeof(Lhs<kMr>) / kMr;

  static void run(const elms_gemm_args* args) {
    if (args->m > 1) return gemm_by_panels<Tiled>(args);
    for (int32_t column = 0; column < args->n; column += kNr) {
      const uint8_t* panel = args->panels + static_cast<size_t>(column / kNr) * args->panel_stride_bytes;
      gemv(args, reinterpret_cast<const Block*>(panel), column);
    }
  }

  static constexpr size_t kBlockBytes = sizeof(Block);

  static void tile(const elms_gemm_args* args, const uint8_t* panel, int32_t column, int32_t row,
                   int32_t n_rows) {
    const Block* blocks = reinterpret_cast<const Block*>(panel);
    const int32_t n_blocks = args->k / ELMS_QUANT_BLOCK;
    const Lhs<kMr>* lhs = static_cast<const Lhs<kMr>*>(args->lhs) + static_cast<size_t>(row / kMr) * n_blocks;
    for (int half = 0; half < kHalves && column + 4 * half < args->n; ++half) {
      float out[kMr][4];
      n_rows > 4 ? Product::template gemm<8>(blocks, n_blocks, half, lhs, out)
                 : Product::template gemm<4>(blocks, n_blocks, half, lhs, out);
      store_rows_4(args, row, n_rows, column + 4 * half, out);
    }
  }

 private:
  static void gemv(const elms_gemm_args* args, const Block* blocks, int32_t column) {
    constexpr int kTogether = Product::kBlocksTogether;
    const Lhs<1>* lhs = static_cast<const Lhs<1>*>(args->lhs);
    const int32_t n_blocks = args->k / ELMS_QUANT_BLOCK;
    float32x4_t sums[kHalves] = {vdupq_n_f32(0.0f), vdupq_n_f32(0.0f)};
    int32_t b = 0;
    for (; b + kTogether <= n_blocks; b += kTogether) {
      prefetch_block<kTogether * sizeof(Block)>(blocks + b);
      add_blocks<kTogether>(sums, blocks + b, lhs + b);
    }
    for (; b < n_blocks; ++b) add_blocks<1>(sums, blocks + b, lhs + b);
    store_row_8(args, 0, column, sums[0], sums[1]);
  }

  template <int kBlocks>
  static void add_blocks(float32x4_t sums[kHalves], const Block* blocks, const Lhs<1>* lhs) {
    int32x4_t dots[kBlocks][kHalves];
    for (int b = 0; b < kBlocks; ++b) Product::dots_of_row(blocks[b], lhs[b], dots[b]);
    for (int b = 0; b < kBlocks; ++b) {
      for (int half = 0; half < kHalves; ++half) {
        const float32x4_t scales = vmulq_n_f32(load_half_4(blocks[b].scale + 4 * half), lhs[b].only_scale());
        sums[half] = vfmaq_f32(sums[half], Product::to_float(dots[b][half]), scales);
      }
    }
  }
};

}  // namespace

#endif /* ELMS_KERNELS_NEON_QUANT_TILES_H_ */
