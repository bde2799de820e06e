/* What every micro-kernel file may use. Everything here has internal linkage: the same helper is compiled
 * once per ISA's flags, and a shared inline symbol would let the linker keep the version that another CPU
 * cannot run. For that reason too nothing of the C++ library is used here.
 */
#ifndef ELMS_KERNELS_COMMON_H_
#define ELMS_KERNELS_COMMON_H_

#include <math.h>
#include <string.h>

#include "elms/detail/kernels.h"

#define ELMS_QUANT_BLOCK 32 /* values along k that share one scale */

/* GGUF's own blocks. Rows in a file have any alignment, so these are byte arrays read through memcpy. */
#define ELMS_GGUF_Q8_0_BYTES 34 /* f16 d; int8 q[32] */
#define ELMS_GGUF_Q4_0_BYTES \
  18 /* f16 d; value i is the low nibble of byte i for i < 16, the high one of i - 16 else */

/* Activations quantised to int8: blocks whose largest magnitude is below this are zeros, because 127 /
 * magnitude would not be finite much further down. */
#define ELMS_SMALLEST_QUANTISED_MAX 0x1p-120f

/* A hint to fetch the cache line of an address, which need not be one of the process. */
#if defined(__GNUC__) || defined(__clang__)
#define ELMS_PREFETCH(address) __builtin_prefetch(address)
#else
#define ELMS_PREFETCH(address) ((void)(address))
#endif

static inline int32_t elms_min_i32(int32_t a, int32_t b) {
  return a < b ? a : b;
}
static inline int32_t elms_ceil_div(int32_t a, int32_t b) {
  return (a + b - 1) / b;
}

static inline uint32_t elms_bits_of_f32(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

static inline float elms_f32_of_bits(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

/* As F16C and fcvtl do it: subnormals are exact, a signalling NaN becomes the quiet one with the same
 * payload. */
static inline float elms_f32_of_f16(uint16_t h) {
  const uint32_t sign = (uint32_t)(h & 0x8000u) << 16;
  const uint32_t exponent = (h >> 10) & 0x1fu;
  const uint32_t mantissa = h & 0x3ffu;
  if (exponent == 0) return elms_f32_of_bits(sign | elms_bits_of_f32((float)mantissa * 0x1p-24f));
  if (exponent == 31)
    return elms_f32_of_bits(sign | 0x7f800000u | (mantissa << 13) | (mantissa != 0 ? 0x400000u : 0));
  return elms_f32_of_bits(sign | ((exponent + 112) << 23) | (mantissa << 13));
}

/* Round to nearest even; NaN payloads are cut and made quiet. */
static inline uint16_t elms_f16_of_f32(float x) {
  const uint32_t bits = elms_bits_of_f32(x);
  const uint32_t sign = (bits >> 16) & 0x8000u;
  const uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return (uint16_t)(sign | 0x7e00u | ((magnitude >> 13) & 0x3ffu));
  if (magnitude >= 0x477ff000u) return (uint16_t)(sign | 0x7c00u); /* 65520 and above round to infinity */
  if (magnitude < 0x38800000u) {
    /* Below 2^-14 a half counts in steps of 2^-24, which is what a float between 0.5 and 1 does. */
    return (uint16_t)(sign | (elms_bits_of_f32(elms_f32_of_bits(magnitude) + 0.5f) - 0x3f000000u));
  }
  const uint32_t odd = (magnitude >> 13) & 1u;
  return (uint16_t)(sign | ((magnitude - 0x38000000u + 0xfffu + odd) >> 13));
}

static inline float elms_f32_of_bf16(uint16_t h) {
  return elms_f32_of_bits((uint32_t)h << 16);
}

static inline uint16_t elms_load_u16(const void* address) {
  uint16_t value;
  memcpy(&value, address, sizeof value);
  return value;
}

/* The bytes of value `index` of block `block` in a Q4_0 row: 0..15, meaning -8..7. */
static inline uint8_t elms_gguf_q4_value(const uint8_t* row, int32_t block, int32_t index) {
  const uint8_t* q = row + (size_t)block * ELMS_GGUF_Q4_0_BYTES + 2;
  return index < 16 ? q[index] & 0x0f : q[index - 16] >> 4;
}

/* Writes a finished sum where it belongs; every kernel adds in this order. */
static inline void elms_store_output(const elms_gemm_args* args, int32_t row, int32_t column, float sum) {
  float* dst = args->dst + (size_t)row * args->dst_stride + column;
  if (args->bias != NULL) sum += args->bias[column];
  *dst = args->accumulate ? *dst + sum : sum;
}

/* Writes the sums [.., nr] of a tile that ends inside its matrix. */
static inline void elms_store_tile(const elms_tile_args* args, const float* sums, int32_t nr) {
  for (int32_t r = 0; r < args->m; ++r, sums += nr) {
    float* c = args->c + (size_t)r * args->c_stride;
    for (int32_t i = 0; i < args->n; ++i) c[i] = args->accumulate ? c[i] + sums[i] : sums[i];
  }
}

/* Scale and reciprocal of one block of 32 activations from the bits of its largest magnitude. Infinities and
 * NaN cannot be expressed in int8: their block becomes zeros with a NaN scale, so that every output that
 * reads it is NaN. */
typedef struct elms_block_scale {
  float scale;
  float inverse;
} elms_block_scale;

static inline elms_block_scale elms_scale_of_max_bits(uint32_t max_bits) {
  elms_block_scale result = {0.0f, 0.0f};
  if (max_bits >= 0x7f800000u) {
    result.scale = elms_f32_of_bits(0x7fc00000u);
  } else if (elms_f32_of_bits(max_bits) >= ELMS_SMALLEST_QUANTISED_MAX) {
    result.scale = elms_f32_of_bits(max_bits) / 127.0f;
    result.inverse = 127.0f / elms_f32_of_bits(max_bits);
  }
  return result;
}

/* The reference quantisation of one block: the bytes that every ISA produces. Returns the scale. */
static inline float elms_quantise_block(const float* x, int8_t* q) {
  uint32_t max_bits = 0;
  for (int i = 0; i < ELMS_QUANT_BLOCK; ++i) {
    const uint32_t bits = elms_bits_of_f32(x[i]) & 0x7fffffffu;
    max_bits = bits > max_bits ? bits : max_bits;
  }
  const elms_block_scale block = elms_scale_of_max_bits(max_bits);
  if (block.inverse == 0.0f) {
    memset(q, 0, ELMS_QUANT_BLOCK);
    return block.scale;
  }
  for (int i = 0; i < ELMS_QUANT_BLOCK; ++i) {
    /* Adding 1.5 * 2^23 rounds to nearest even; the integer is then in the low mantissa bits. */
    const float rounded = x[i] * block.inverse + 12582912.0f;
    q[i] = (int8_t)(elms_bits_of_f32(rounded) & 0xffu);
  }
  return block.scale;
}

#endif /* ELMS_KERNELS_COMMON_H_ */
