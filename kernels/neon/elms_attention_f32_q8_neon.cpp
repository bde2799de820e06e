// Attention over an int8 KV cache; the algorithm is in kernels/attention_blocked.h.
#include "kernels/neon/attention_ops.h"

extern "C" void elms_attention_f32_q8_neon(const elms_attention_args* args) {
  attention_blocked<Ops, Q8Entries>(args);
}
