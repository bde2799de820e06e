// Reference tile: 4 rows times 8 columns, every sum through k in order.
#include "kernels/common.h"
#include "kernels/declarations.h"

namespace {

constexpr int32_t kMr = 4;
constexpr int32_t kNr = 8;

void multiply(const elms_tile_args* args) {
  float sums[kMr][kNr] = {};
  for (int32_t k = 0; k < args->k; ++k) {
    const float* a = args->a + static_cast<size_t>(k) * kMr;
    const float* b = args->b + static_cast<size_t>(k) * kNr;
    for (int32_t r = 0; r < kMr; ++r) {
      for (int32_t i = 0; i < kNr; ++i) sums[r][i] += a[r] * b[i];
    }
  }
  elms_store_tile(args, sums[0], kNr);
}

void pack_transposed(const float* x, size_t x_stride, int32_t rows, int32_t k, int32_t width, float* panel) {
  for (int32_t i = 0; i < k; ++i, panel += width) {
    for (int32_t r = 0; r < width; ++r) panel[r] = r < rows ? x[static_cast<size_t>(r) * x_stride + i] : 0.0f;
  }
}

}  // namespace

extern "C" const elms_tile_kernel elms_tile_f32_4x8_scalar = {"elms_tile_f32_4x8_scalar", kMr, kNr, multiply,
                                                              pack_transposed};
