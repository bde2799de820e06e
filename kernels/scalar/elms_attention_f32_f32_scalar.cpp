// Reference attention over f32 keys and values.
#include "kernels/scalar/attention.h"

namespace {

void copy_f32(const uint8_t* entry, int32_t head_dim, float* row) {
  memcpy(row, entry, sizeof(float) * static_cast<size_t>(head_dim));
}

}  // namespace

extern "C" void elms_attention_f32_f32_scalar(const elms_attention_args* args) {
  attention_scalar(args, copy_f32);
}
