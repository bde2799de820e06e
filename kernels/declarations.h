/* Every symbol that kernels/ hands to the registry, one block per ISA. Each lives in the file of the same
 * name. */
#ifndef ELMS_KERNELS_DECLARATIONS_H_
#define ELMS_KERNELS_DECLARATIONS_H_

#include "elms/detail/kernels.h"

#define ELMS_DECLARE_ATTENTION(isa)                                                                     \
  size_t elms_attention_scratch_floats_##isa(int32_t n_heads, int32_t head_dim, int32_t max_positions); \
  void elms_attention_f32_f16_##isa(const elms_attention_args* args);                                   \
  void elms_attention_f32_q8_##isa(const elms_attention_args* args);                                    \
  void elms_attention_f32_f32_##isa(const elms_attention_args* args)

#define ELMS_DECLARE_VECTOR_KERNELS(isa)                                                                   \
  ELMS_DECLARE_ATTENTION(isa);                                                                             \
  void elms_rms_norm_f32_##isa(const float* x, const float* weight, int32_t n, float epsilon, float* out); \
  void elms_rope_f32_##isa(float* x, const float* cosine, const float* sine, int32_t n_rot,                \
                           elms_rope_style style);                                                         \
  void elms_swiglu_f32_##isa(const float* gate, const float* up, int32_t n, float* out);                   \
  void elms_swiglu_backward_f32_##isa(const float* gate, const float* up, const float* dy, int32_t n,      \
                                      float* d_gate, float* d_up);                                         \
  void elms_gelu_f32_##isa(const float* x, int32_t n, float* out);                                         \
  float elms_max_f32_##isa(const float* x, int32_t n);                                                     \
  float elms_exp_sum_f32_##isa(const float* x, int32_t n, float shift, float scale, float* out);           \
  void elms_f32_to_f16_##isa(const float* x, int32_t n, uint16_t* out);                                    \
  void elms_f16_to_f32_##isa(const uint16_t* x, int32_t n, float* out)

/* The left-hand side that an ISA's Q8 and Q4 kernels share. */
#define ELMS_DECLARE_LHS(isa)                                                                      \
  size_t elms_lhs_q8_bytes_##isa(int32_t m, int32_t k);                                            \
  void elms_lhs_q8_##isa(const float* x, size_t x_stride, int32_t m, int32_t k, int32_t row_begin, \
                         int32_t row_end, void* lhs)

#ifdef __cplusplus
extern "C" {
#endif

ELMS_DECLARE_VECTOR_KERNELS(scalar);
void elms_f32_to_kv_q8_scalar(const float* x, int32_t n, void* out); /* a few hundred values a token: of all tables */
ELMS_DECLARE_LHS(scalar);
extern const elms_gemm_kernel elms_gemm_f32_f32_f32_1x4_scalar;
extern const elms_gemm_kernel elms_gemm_f32_f32_f16_1x4_scalar;
extern const elms_gemm_kernel elms_gemm_f32_f32_bf16_1x4_scalar;
extern const elms_gemm_kernel elms_gemm_f32_q8_q8_1x4_scalar;
extern const elms_gemm_kernel elms_gemm_f32_q8_q4_1x4_scalar;
extern const elms_tile_kernel elms_tile_f32_4x8_scalar;

ELMS_DECLARE_VECTOR_KERNELS(avx2);
ELMS_DECLARE_LHS(avx2);
extern const elms_gemm_kernel elms_gemm_f32_f32_f32_6x16_avx2;
extern const elms_gemm_kernel elms_gemm_f32_f32_f16_6x16_avx2;
extern const elms_gemm_kernel elms_gemm_f32_f32_bf16_6x16_avx2;
extern const elms_gemm_kernel elms_gemm_f32_q8_q8_32x16_avx2;
extern const elms_gemm_kernel elms_gemm_f32_q8_q4_32x16_avx2;
extern const elms_tile_kernel elms_tile_f32_6x16_avx2;

ELMS_DECLARE_ATTENTION(avx512vnni);
ELMS_DECLARE_LHS(avx512vnni);
extern const elms_gemm_kernel elms_gemm_f32_q8_q8_32x16_avx512vnni;
extern const elms_gemm_kernel elms_gemm_f32_q8_q4_32x16_avx512vnni;
extern const elms_tile_kernel elms_tile_f32_12x32_avx512vnni;

ELMS_DECLARE_VECTOR_KERNELS(neon);
ELMS_DECLARE_LHS(neon);
extern const elms_gemm_kernel elms_gemm_f32_f32_f32_8x8_neon;
extern const elms_gemm_kernel elms_gemm_f32_f32_f16_8x8_neon;
extern const elms_gemm_kernel elms_gemm_f32_f32_bf16_8x8_neon;
extern const elms_gemm_kernel elms_gemm_f32_q8_q8_8x8_neon;
extern const elms_gemm_kernel elms_gemm_f32_q8_q4_8x8_neon;
extern const elms_tile_kernel elms_tile_f32_12x8_neon;

ELMS_DECLARE_LHS(dotprod);
extern const elms_gemm_kernel elms_gemm_f32_q8_q8_8x8_dotprod;
extern const elms_gemm_kernel elms_gemm_f32_q8_q4_8x8_dotprod;

ELMS_DECLARE_LHS(i8mm);
extern const elms_gemm_kernel elms_gemm_f32_q8_q8_8x8_i8mm;
extern const elms_gemm_kernel elms_gemm_f32_q8_q4_8x8_i8mm;

#ifdef __cplusplus
}
#endif

#endif /* ELMS_KERNELS_DECLARATIONS_H_ */
