// Attention over an int8 KV cache; the algorithm is in kernels/attention_blocked.h.
#include "kernels/avx512vnni/attention_ops.h"

extern "C" void elms_attention_f32_q8_avx512vnni(const elms_attention_args* args) {
  attention_blocked<Ops, Q8Entries>(args);
}
