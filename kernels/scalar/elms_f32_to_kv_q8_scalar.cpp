// One entry of an int8 KV cache; see elms_kv_q8_bytes.
#include "kernels/common.h"
#include "kernels/declarations.h"

extern "C" void elms_f32_to_kv_q8_scalar(const float* x, int32_t n, void* out) {
  uint8_t* block = static_cast<uint8_t*>(out);
  for (int32_t d = 0; d < n; d += ELMS_QUANT_BLOCK) {
    const int32_t count = elms_min_i32(ELMS_QUANT_BLOCK, n - d);
    float values[ELMS_QUANT_BLOCK] = {0};
    int8_t q[ELMS_QUANT_BLOCK];
    memcpy(values, x + d, sizeof(float) * static_cast<size_t>(count));
    const uint16_t scale = elms_f16_of_f32(elms_quantise_block(values, q));
    memcpy(block, &scale, sizeof scale);
    memcpy(block + 2, q, static_cast<size_t>(count));
    block += 2 + count;
  }
}
