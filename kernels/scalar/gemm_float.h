/* The reference GEMM over float weights, shared by f32, f16 and bf16: they differ in how one weight is read.
 * Panel: [k][4] values of the weight's own type. */
#ifndef ELMS_KERNELS_SCALAR_GEMM_FLOAT_H_
#define ELMS_KERNELS_SCALAR_GEMM_FLOAT_H_

#include "kernels/common.h"

namespace {

constexpr int32_t kNr = 4;

template <typename Stored>
void pack_float_panel(const elms_pack_args* args) {
  for (int32_t k = 0; k < args->k_full; ++k) {
    for (int32_t i = 0; i < kNr; ++i) {
      Stored value{};
      if (args->rows[i] != nullptr) {
        memcpy(&value, static_cast<const uint8_t*>(args->rows[i]) + static_cast<size_t>(k) * sizeof value,
               sizeof value);
      }
      memcpy(args->panel + (static_cast<size_t>(k) * kNr + i) * sizeof value, &value, sizeof value);
    }
  }
}

template <typename Stored, float (*kDecode)(Stored)>
void gemm_float(const elms_gemm_args* args) {
  for (int32_t column = 0; column < args->n; column += kNr) {
    const uint8_t* panel = args->panels + static_cast<size_t>(column / kNr) * args->panel_stride_bytes;
    const Stored* weights = reinterpret_cast<const Stored*>(panel);
    const int32_t n_columns = elms_min_i32(kNr, args->n - column);
    for (int32_t row = 0; row < args->m; ++row) {
      const uint8_t* lhs =
          static_cast<const uint8_t*>(args->lhs) + static_cast<size_t>(row) * args->lhs_stride_bytes;
      const float* x = reinterpret_cast<const float*>(lhs);
      float sum[kNr] = {};
      for (int32_t k = 0; k < args->k; ++k) {
        for (int32_t i = 0; i < kNr; ++i) sum[i] += x[k] * kDecode(weights[static_cast<size_t>(k) * kNr + i]);
      }
      for (int32_t i = 0; i < n_columns; ++i) elms_store_output(args, row, column + i, sum[i]);
    }
  }
}

}  // namespace

#endif /* ELMS_KERNELS_SCALAR_GEMM_FLOAT_H_ */
