// Attention over an f16 KV cache; the algorithm is in kernels/attention_blocked.h.
#include "kernels/avx512vnni/attention_ops.h"

extern "C" size_t elms_attention_scratch_floats_avx512vnni(int32_t n_heads, int32_t head_dim,
                                                           int32_t max_positions) {
  (void)n_heads;
  (void)max_positions;
  return attention_scratch_size(head_dim, Ops::kWidth);
}

extern "C" void elms_attention_f32_f16_avx512vnni(const elms_attention_args* args) {
  attention_blocked<Ops, F16Entries>(args);
}
