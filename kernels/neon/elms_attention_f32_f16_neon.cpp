// Attention over an f16 KV cache; the algorithm is in kernels/attention_blocked.h.
#include "kernels/neon/attention_ops.h"

extern "C" size_t elms_attention_scratch_floats_neon(int32_t n_heads, int32_t head_dim,
                                                     int32_t max_positions) {
  (void)n_heads;
  (void)max_positions;
  return attention_scratch_size(head_dim, Ops::kWidth);
}

extern "C" void elms_attention_f32_f16_neon(const elms_attention_args* args) {
  attention_blocked<Ops, F16Entries>(args);
}
