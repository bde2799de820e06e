// Reference attention over an f16 KV cache.
#include "kernels/scalar/attention.h"

namespace {

void convert_f16(const uint8_t* entry, int32_t head_dim, float* row) {
  for (int32_t d = 0; d < head_dim; ++d) row[d] = elms_f32_of_f16(elms_load_u16(entry + 2 * d));
}

}  // namespace

extern "C" size_t elms_attention_scratch_floats_scalar(int32_t n_heads, int32_t head_dim,
                                                       int32_t max_positions) {
  (void)max_positions;
  return static_cast<size_t>(head_dim) + 3 * static_cast<size_t>(n_heads);
}

extern "C" void elms_attention_f32_f16_scalar(const elms_attention_args* args) {
  attention_scalar(args, convert_f16);
}
