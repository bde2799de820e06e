// Attention over f32 keys and values; the algorithm is in kernels/attention_blocked.h.
#include "kernels/neon/attention_ops.h"

extern "C" void elms_attention_f32_f32_neon(const elms_attention_args* args) {
  attention_blocked<Ops, F32Entries>(args);
}
