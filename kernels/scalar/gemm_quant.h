/* The reference GEMM over quantised weights, shared by Q8 and Q4: they differ in how the dot product of one
 * block is formed. Weights decides the block: `scale[row]` and `dot(row, q)`, exact in int32. */
#ifndef ELMS_KERNELS_SCALAR_GEMM_QUANT_H_
#define ELMS_KERNELS_SCALAR_GEMM_QUANT_H_

#include "kernels/scalar/lhs_q8.h"

namespace {

constexpr int32_t kNr = 4;

template <typename Block>
void gemm_quant(const elms_gemm_args* args) {
  const int32_t n_blocks = args->k / ELMS_QUANT_BLOCK;
  for (int32_t column = 0; column < args->n; column += kNr) {
    const uint8_t* panel = args->panels + static_cast<size_t>(column / kNr) * args->panel_stride_bytes;
    const Block* weights = reinterpret_cast<const Block*>(panel);
    const int32_t n_columns = elms_min_i32(kNr, args->n - column);
    for (int32_t row = 0; row < args->m; ++row) {
      const LhsBlock* lhs = static_cast<const LhsBlock*>(args->lhs) + static_cast<size_t>(row) * n_blocks;
      for (int32_t i = 0; i < n_columns; ++i) {
        float sum = 0.0f;
        for (int32_t b = 0; b < n_blocks; ++b) {
          const float scale = elms_f32_of_f16(weights[b].scale[i]) * lhs[b].scale;
          sum += scale * static_cast<float>(weights[b].dot(i, lhs[b].q));
        }
        elms_store_output(args, row, column + i, sum);
      }
    }
  }
}

}  // namespace

#endif /* ELMS_KERNELS_SCALAR_GEMM_QUANT_H_ */
