// Reference attention over an int8 KV cache.
#include "kernels/scalar/attention.h"

namespace {

void convert_q8(const uint8_t* entry, int32_t head_dim, float* row) {
  for (int32_t d = 0; d < head_dim; ++d) {
    const uint8_t* block = entry + d / ELMS_QUANT_BLOCK * (ELMS_QUANT_BLOCK + 2);
    const int8_t q = static_cast<int8_t>(block[2 + d % ELMS_QUANT_BLOCK]);
    row[d] = elms_f32_of_f16(elms_load_u16(block)) * static_cast<float>(q);
  }
}

}  // namespace

extern "C" void elms_attention_f32_q8_scalar(const elms_attention_args* args) {
  attention_scalar(args, convert_q8);
}
