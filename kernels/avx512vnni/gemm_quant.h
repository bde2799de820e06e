/* GEMM and GEMV over quantised weights in panels of 16 outputs, shared by Q8 and Q4: they differ in Weights.
 *
 *   struct Weights::Block            the panel's block; `uint16_t scale[16]` comes first
 *   Weights::decode(block, w)        w[8]: byte 4 i + t of w[g] is k = 4 g + t of output i, unsigned
 *   Weights::start(lhs)              what makes up for the offset of these bytes, times the activations
 *
 * The one byte multiplication (vpdpbusd) takes an unsigned and a signed side. Weights are the unsigned one:
 * an offset on them costs one known sum per row and block, where a signed weight would cost work per product.
 * A block of weights stays in eight registers while all rows of the tile pass by; activations come as
 * broadcast memory operands, so that the inner loop is nothing but products.
 */
#ifndef ELMS_KERNELS_AVX512VNNI_GEMM_QUANT_H_
#define ELMS_KERNELS_AVX512VNNI_GEMM_QUANT_H_

#include "kernels/avx512vnni/lhs_q8.h"
#include "kernels/gemm_loops.h"

namespace {

constexpr int32_t kNr = 16;
constexpr int32_t kGroups = ELMS_QUANT_BLOCK / 4;  // of four k

inline __m512i load_512(const void* address) {
  return _mm512_loadu_si512(address);
}

inline __m512 widen_scales(const uint16_t* scales) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(scales)));
}

/// Exact sums of 16 outputs over one block with one row.
inline __m512i dot_block(__m512i sum, const __m512i w[kGroups], const int8_t* q) {
#pragma GCC unroll 8
  for (int g = 0; g < kGroups; ++g) {
    int32_t word;
    memcpy(&word, q + 4 * g, sizeof word);
    sum = _mm512_dpbusd_epi32(sum, w[g], _mm512_set1_epi32(word));
  }
  return sum;
}

inline __m512 add_block(__m512 sum, __m512i dots, __m512 scales, float lhs_scale) {
  return _mm512_fmadd_ps(_mm512_cvtepi32_ps(dots), _mm512_mul_ps(scales, _mm512_set1_ps(lhs_scale)), sum);
}

inline void store_row_16(const elms_gemm_args* args, int32_t row, int32_t column, __m512 sum) {
  float* dst = args->dst + static_cast<size_t>(row) * args->dst_stride + column;
  const int32_t n = elms_min_i32(kNr, args->n - column);
  const __mmask16 mask = static_cast<__mmask16>((1u << n) - 1);
  if (args->bias != nullptr) sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(mask, args->bias + column));
  if (args->accumulate) sum = _mm512_add_ps(_mm512_maskz_loadu_ps(mask, dst), sum);
  _mm512_mask_storeu_ps(dst, mask, sum);
}

template <typename Weights>
void gemm_tile(const elms_gemm_args* args, const uint8_t* panel, int32_t column, int32_t row,
               int32_t n_rows) {
  using Block = typename Weights::Block;
  const int32_t n_blocks = args->k / ELMS_QUANT_BLOCK;
  const size_t stride = block_stride(args, sizeof(Block));
  const LhsBlock* lhs = static_cast<const LhsBlock*>(args->lhs) + tile_offset(row, n_blocks);
  __m512 sums[kMr];
  for (int32_t r = 0; r < n_rows; ++r) sums[r] = _mm512_setzero_ps();
  for (int32_t b = 0; b < n_blocks; ++b, lhs += n_rows, panel += stride) {
    const Block& block = *reinterpret_cast<const Block*>(panel);
    const __m512 scales = widen_scales(block.scale);
    __m512i w[kGroups];
    Weights::decode(block, w);
    for (int32_t r = 0; r < n_rows; ++r) {
      const __m512i dots = dot_block(_mm512_set1_epi32(Weights::start(lhs[r])), w, lhs[r].q);
      sums[r] = add_block(sums[r], dots, scales, lhs[r].scale);
    }
  }
  for (int32_t r = 0; r < n_rows; ++r) store_row_16(args, row + r, column, sums[r]);
}

/// One row x kPanels panels: a whole group, or neighbours one behind the other.
template <typename Weights, int kPanels>
void gemv_panels(const elms_gemm_args* args, int32_t column) {
  using Block = typename Weights::Block;
  const int32_t n_blocks = args->k / ELMS_QUANT_BLOCK;
  const LhsBlock* lhs = static_cast<const LhsBlock*>(args->lhs);
  const size_t stride = block_stride(args, sizeof(Block));
  const uint8_t* panels[kPanels];
  __m512 sums[kPanels];
  for (int p = 0; p < kPanels; ++p) {
    panels[p] = panel_at(args, column + p * kNr, kNr, sizeof(Block));
    sums[p] = _mm512_setzero_ps();
  }
  for (int32_t b = 0; b < n_blocks; ++b) {
#pragma GCC unroll 8
    for (int p = 0; p < kPanels; ++p) {
      __m512i w[kGroups];
      const Block& block = *reinterpret_cast<const Block*>(panels[p]);
      Weights::decode(block, w);
      const __m512i dots = dot_block(_mm512_set1_epi32(Weights::start(lhs[b])), w, lhs[b].q);
      sums[p] = add_block(sums[p], dots, widen_scales(block.scale), lhs[b].scale);
      panels[p] += stride;
    }
  }
  for (int p = 0; p < kPanels; ++p) store_row_16(args, 0, column + p * kNr, sums[p]);
}

template <typename Weights>
struct Kernel {
  static constexpr int32_t kMr = ::kMr;
  static constexpr int32_t kNr = ::kNr;
  static constexpr int32_t kTilePanels = 1;
  static constexpr int32_t kLhsBlockBytes = sizeof(LhsBlock);
  static constexpr size_t kBlockBytes = sizeof(typename Weights::Block);
  static constexpr int kPanelGroup = 8;
  static constexpr int panels_together(int group, bool is_whole) {
    return group > 1 ? group : is_whole ? 1 : 8;
  }

  static void tile(const elms_gemm_args* args, const uint8_t* panel, int32_t column, int32_t row,
                   int32_t n_rows) {
    gemm_tile<Weights>(args, panel, column, row, n_rows);
  }
  template <int kPanels, int kGroup>
  static void gemv(const elms_gemm_args* args, int32_t column) {
    gemv_panels<Weights, kPanels>(args, column);
  }
};

}  // namespace

#endif /* ELMS_KERNELS_AVX512VNNI_GEMM_QUANT_H_ */
