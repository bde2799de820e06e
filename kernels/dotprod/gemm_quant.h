/* GEMM and GEMV over quantised weights in panels of 8 outputs with the dot product instructions of ARMv8.2,
 * shared by Q8 and Q4: they differ in Weights.
 *
 *   struct Weights::Block              the panel's block; `uint16_t scale[8]` comes first
 *   Weights::load_half(block, h, w)    w[g][o] = outputs 4 o .. 4 o + 3, of each the k 16 h + 4 g .. + 3
 *   Weights::to_float(sums)            undoes the factor that Q4's weights carry
 *
 * Activations lie in tiles of 4 rows, block after block, so that one stream feeds a tile; rows past the last
 * are zeros.
 */
#ifndef ELMS_KERNELS_DOTPROD_GEMM_QUANT_H_
#define ELMS_KERNELS_DOTPROD_GEMM_QUANT_H_

#include "kernels/dotprod/lhs_q8.h"
#include "kernels/gemm_loops.h"

namespace {

constexpr int32_t kNr = 8;

struct Dots {
  int32x4_t outputs[2];  // 0..3 and 4..7
};

template <int kGroup>
inline void add_group(Dots sums[kMr], const int8x16_t w[2], const int8x16_t q[kMr]) {
  for (int r = 0; r < kMr; ++r) {
    sums[r].outputs[0] = vdotq_laneq_s32(sums[r].outputs[0], w[0], q[r], kGroup);
    sums[r].outputs[1] = vdotq_laneq_s32(sums[r].outputs[1], w[1], q[r], kGroup);
  }
}

template <typename Weights>
inline void dot_tile(const typename Weights::Block& block, const LhsTile& lhs, Dots sums[kMr]) {
  for (int r = 0; r < kMr; ++r) sums[r].outputs[0] = sums[r].outputs[1] = vdupq_n_s32(0);
  for (int half = 0; half < 2; ++half) {
    int8x16_t w[4][2];
    int8x16_t q[kMr];
    Weights::load_half(block, half, w);
    for (int r = 0; r < kMr; ++r) q[r] = vld1q_s8(lhs.q[r] + 16 * half);
    add_group<0>(sums, w[0], q);
    add_group<1>(sums, w[1], q);
    add_group<2>(sums, w[2], q);
    add_group<3>(sums, w[3], q);
  }
}

template <typename Weights>
void gemm_tile(const elms_gemm_args* args, const uint8_t* panel, int32_t column, int32_t row,
               int32_t n_rows) {
  const int32_t n_blocks = args->k / ELMS_QUANT_BLOCK;
  const LhsTile* lhs = static_cast<const LhsTile*>(args->lhs) + static_cast<size_t>(row / kMr) * n_blocks;
  const auto* blocks = reinterpret_cast<const typename Weights::Block*>(panel);
  float32x4_t low[kMr];
  float32x4_t high[kMr];
  for (int r = 0; r < kMr; ++r) low[r] = high[r] = vdupq_n_f32(0.0f);
  for (int32_t b = 0; b < n_blocks; ++b) {
    Dots dots[kMr];
    dot_tile<Weights>(blocks[b], lhs[b], dots);
    const float32x4_t scale_low = load_half_4(blocks[b].scale);
    const float32x4_t scale_high = load_half_4(blocks[b].scale + 4);
    for (int r = 0; r < kMr; ++r) {
      low[r] =
          vfmaq_f32(low[r], Weights::to_float(dots[r].outputs[0]), vmulq_n_f32(scale_low, lhs[b].scale[r]));
      high[r] =
          vfmaq_f32(high[r], Weights::to_float(dots[r].outputs[1]), vmulq_n_f32(scale_high, lhs[b].scale[r]));
    }
  }
  for (int r = 0; r < n_rows; ++r) store_row_8(args, row + r, column, low[r], high[r]);
}

/// One row, the first of its tile.
template <typename Weights>
void gemv_panel(const elms_gemm_args* args, const uint8_t* panel, int32_t column, int32_t row) {
  const int32_t n_blocks = args->k / ELMS_QUANT_BLOCK;
  const LhsTile* lhs = static_cast<const LhsTile*>(args->lhs) + static_cast<size_t>(row / kMr) * n_blocks;
  const auto* blocks = reinterpret_cast<const typename Weights::Block*>(panel);
  float32x4_t low = vdupq_n_f32(0.0f);
  float32x4_t high = vdupq_n_f32(0.0f);
  for (int32_t b = 0; b < n_blocks; ++b) {
    prefetch_block<sizeof *blocks>(blocks + b);
    int32x4_t sums[2] = {vdupq_n_s32(0), vdupq_n_s32(0)};
    for (int half = 0; half < 2; ++half) {
      int8x16_t w[4][2];
      Weights::load_half(blocks[b], half, w);
      const int8x16_t q = vld1q_s8(lhs[b].q[0] + 16 * half);
      for (int o = 0; o < 2; ++o) {
        sums[o] = vdotq_laneq_s32(sums[o], w[0][o], q, 0);
        sums[o] = vdotq_laneq_s32(sums[o], w[1][o], q, 1);
        sums[o] = vdotq_laneq_s32(sums[o], w[2][o], q, 2);
        sums[o] = vdotq_laneq_s32(sums[o], w[3][o], q, 3);
      }
    }
    const float scale = lhs[b].scale[0];
    low = vfmaq_f32(low, Weights::to_float(sums[0]), vmulq_n_f32(load_half_4(blocks[b].scale), scale));
    high = vfmaq_f32(high, Weights::to_float(sums[1]), vmulq_n_f32(load_half_4(blocks[b].scale + 4), scale));
  }
  store_row_8(args, row, column, low, high);
}

template <typename Weights>
struct Kernel {
  static constexpr int32_t kMr = ::kMr;
  static constexpr int32_t kNr = ::kNr;
  static constexpr int32_t kLhsBlockBytes = sizeof(LhsTile) / kMr;

  static void tile(const elms_gemm_args* args, const uint8_t* panel, int32_t column, int32_t row,
                   int32_t n_rows) {
    n_rows == 1 ? gemv_panel<Weights>(args, panel, column, row)
                : gemm_tile<Weights>(args, panel, column, row, n_rows);
  }
};

}  // namespace

#endif /* ELMS_KERNELS_DOTPROD_GEMM_QUANT_H_ */
