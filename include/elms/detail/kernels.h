/* The seam between the forward pass and the micro-kernels: plain C structs and function pointers.
 *
 * The forward pass knows a kernel only by its descriptor here; kernels/ fills one table per ISA and never sees a model.
 * All kernels are pure functions of their arguments: re-entrant, no allocation, no globals, no errors. Callers check.
 *
 * Width slices. A weight matrix [n_rows, k_full] is packed once into panels of `nr` rows (outputs). One panel holds
 * ceil(k_full / block_k) k-blocks of `block_bytes` each, in k order, and lies panel_stride_bytes from the next. Cutting
 * outputs means computing fewer panels (n smaller); cutting inputs means reading a shorter prefix of every panel
 * (k smaller). The stride never changes. The last panel is padded with zero rows, the last k-block with zero columns.
 *
 * Groups. Where k is cut, every panel ends in a gap, after which the hardware's prefetch has to begin anew. So kernels may
 * let the blocks of `panel_group` neighbouring panels alternate: a group is a run of block 0 of each of its panels, block 1
 * of each, and so on, as long as its panels together. A cut k then leaves one gap in a group.
 */
#ifndef ELMS_DETAIL_KERNELS_H_
#define ELMS_DETAIL_KERNELS_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How weights lie in panels. Values of Q8 and Q4 are those of GGUF's Q8_0 and Q4_0: blocks of 32 along k, one f16
 * scale d per block; w = d * q with q in [-128, 127], or w = d * (q - 8) with q in [0, 15]. */
typedef enum elms_weight_format {
  ELMS_WEIGHT_F32,
  ELMS_WEIGHT_F16,
  ELMS_WEIGHT_BF16,
  ELMS_WEIGHT_Q8,
  ELMS_WEIGHT_Q4,
  ELMS_WEIGHT_FORMAT_COUNT
} elms_weight_format;

/* Packs one panel. rows[i] is row i of the panel in GGUF's own row encoding (f32, f16, bf16, block_q8_0 or block_q4_0),
 * k_full values long, any alignment; a null row means zeros (past the end of the matrix). `panel` has
 * ceil(k_full / block_k) * block_bytes bytes, 64-byte aligned. */
typedef struct elms_pack_args {
  const void* const* rows; /* [nr] */
  int32_t k_full;
  uint8_t* panel;            /* its first block */
  size_t block_stride_bytes; /* from one block to the next: block_bytes times the panels of its group; 0: block_bytes */
} elms_pack_args;

/* dst[m, n] (+)= lhs[m, k] * weights[n, k]^T + bias[n]. */
typedef struct elms_gemm_args {
  const void* lhs;           /* as prepare_lhs wrote it, for exactly this m and k */
  size_t lhs_stride_bytes;   /* only where prepare_lhs is null: distance of f32 rows */
  const uint8_t* panels;     /* the first panel to compute, the first one of its group */
  size_t panel_stride_bytes; /* bytes of a panel at full k: distance of panels where there are no groups */
  int32_t panel_group;       /* panels in a group; 0 and 1: no groups. A divisor of the kernel's panel_group */
  int32_t m;                 /* rows of lhs (tokens), >= 1 */
  int32_t n;                 /* outputs to compute from the first panel on; may end inside a panel */
  int32_t k;                 /* inputs of the current width; a multiple of block_k */
  const float* bias;         /* [n], or null */
  float* dst;                /* [m, n] */
  size_t dst_stride;         /* elements between rows of dst */
  bool accumulate;           /* add to dst instead of writing it (residual connection) */
} elms_gemm_args;

typedef struct elms_gemm_kernel {
  const char* name; /* elms_gemm_<dst>_<lhs>_<rhs>_<mr>x<nr>_<isa>, see kernels/README.md */
  elms_weight_format format;
  int32_t mr;          /* rows of lhs that one inner loop computes together */
  int32_t nr;          /* rows of a panel */
  int32_t block_k;     /* 32 for Q8 and Q4, 1 for floats: slices of k are whole blocks */
  size_t block_bytes;  /* bytes of one k-block of one panel: nr rows with their scales */

  void (*pack)(const elms_pack_args* args);

  /* Left-hand side: null where the kernel reads plain f32 rows; otherwise rows are first quantised per 32-block to int8
   * (scale = max|x| / 127, round to nearest even; a block of zeros has scale 0) in a layout of the kernel's own.
   * Rows [row_begin, row_end) of m are prepared; row_begin is a multiple of mr. Threads may prepare different rows.
   * x is [m, k] f32, x_stride elements between rows; lhs has lhs_bytes(m, k) bytes, 64-byte aligned. */
  size_t (*lhs_bytes)(int32_t m, int32_t k);
  void (*prepare_lhs)(const float* x, size_t x_stride, int32_t m, int32_t k, int32_t row_begin, int32_t row_end,
                      void* lhs);

  void (*gemm)(const elms_gemm_args* args); /* any m >= 1; takes the GEMV path itself when m == 1 */
  int32_t panel_group;                      /* panels that a group has at most, a power of two; 1: no groups */
} elms_gemm_kernel;

/* Panels in a group of a matrix of n_panels: all its groups are alike. */
static inline int32_t elms_panel_group(const elms_gemm_kernel* kernel, int32_t n_panels) {
  int32_t group = kernel->panel_group;
  while (n_panels % group != 0) group /= 2;
  return group;
}
/* Where panel `index` begins. */
static inline size_t elms_panel_offset(const elms_gemm_kernel* kernel, int32_t group, size_t panel_stride_bytes, int32_t index) {
  return (size_t)(index - index % group) * panel_stride_bytes + (size_t)(index % group) * kernel->block_bytes;
}

/* One entry of a KV cache in int8: head_dim values in blocks of 32 along the head, the last one shorter where head_dim
 * is no multiple of 32. A block is one f16 scale d and its int8 values q; x = d * q. No alignment is needed. */
static inline size_t elms_kv_q8_bytes(int32_t head_dim) {
  return (size_t)head_dim + 2 * (((size_t)head_dim + 31) / 32);
}

/* Causal attention of the query heads that share one KV head, online softmax.
 * Row r (position first_position + r) attends to positions 0 .. first_position + r whose `masked` byte is 0; its own
 * position is never masked. K and V are [n_positions, head_dim], f16 or int8 blocks by kernel, kv_stride_bytes between
 * positions. */
typedef struct elms_attention_args {
  const float* q; /* [n_rows, n_heads, head_dim] */
  size_t q_row_stride;
  size_t q_head_stride; /* elements */
  const void* k;
  const void* v;
  size_t kv_stride_bytes;
  int32_t n_rows;
  int32_t n_heads;
  int32_t head_dim;
  int32_t first_position;
  float scale;           /* multiplies q.k, usually 1 / sqrt(head_dim) */
  const uint8_t* masked; /* [first_position + n_rows], or null when no position is masked */
  float* out;            /* [n_rows, n_heads, head_dim] */
  size_t out_row_stride;
  size_t out_head_stride;
  float* scratch; /* attention_scratch_floats(...) floats, 64-byte aligned */
} elms_attention_args;

typedef enum elms_rope_style {
  ELMS_ROPE_INTERLEAVED, /* pairs (2i, 2i + 1): llama, mistral as GGUF stores them */
  ELMS_ROPE_HALVES       /* pairs (i, i + n_rot / 2): qwen2, qwen3, all Hugging Face checkpoints */
} elms_rope_style;

/* Products of plain f32 matrices, as training makes them: c[m, n] (+)= a * b for one tile that stays in registers, from
 * panels that the caller packed. Sums run through k in order; with `accumulate` the finished sum is added to c. */
typedef struct elms_tile_args {
  const float* a; /* [k][mr], 64-byte aligned; values of rows from m on are read but not used */
  const float* b; /* [k][nr], 64-byte aligned; the same for columns from n on */
  int32_t k;      /* >= 0 */
  int32_t m;      /* rows of c: 1 .. mr */
  int32_t n;      /* columns of c: 1 .. nr */
  float* c;
  size_t c_stride; /* elements between rows of c */
  bool accumulate; /* add to c instead of writing it, whatever it holds */
} elms_tile_args;

typedef struct elms_tile_kernel {
  const char* name; /* elms_tile_f32_<mr>x<nr>_<isa> */
  int32_t mr; /* divides 12 */
  int32_t nr; /* divides 32 */
  void (*multiply)(const elms_tile_args* args);
  /* panel[k][width] = the transpose of x [rows, k], x_stride elements between rows; zeros from column `rows` on.
   * width is mr or nr, 1 <= rows <= width. */
  void (*pack_transposed)(const float* x, size_t x_stride, int32_t rows, int32_t k, int32_t width, float* panel);
} elms_tile_kernel;

typedef struct elms_kernel_table {
  const char* isa; /* "scalar", "avx2", "avx512vnni", "neon", "dotprod", "i8mm" */
  const elms_gemm_kernel* gemm[ELMS_WEIGHT_FORMAT_COUNT];
  const elms_tile_kernel* tile_f32;

  size_t (*attention_scratch_floats)(int32_t n_heads, int32_t head_dim, int32_t max_positions);
  void (*attention)(const elms_attention_args* args);    /* over f16 entries */
  void (*attention_q8)(const elms_attention_args* args); /* over int8 entries, see elms_kv_q8_bytes */
  void (*attention_f32)(const elms_attention_args* args); /* over f32 entries: encoders, which keep no cache */

  /* out[i] = x[i] * weight[i] / sqrt(mean(x^2) + epsilon); out may be x. */
  void (*rms_norm)(const float* x, const float* weight, int32_t n, float epsilon, float* out);
  /* Rotates one head in place: cosine and sine are [n_rot / 2] for its position; x[n_rot..] stays as it is. */
  void (*rope)(float* x, const float* cosine, const float* sine, int32_t n_rot, elms_rope_style style);
  /* out[i] = silu(gate[i]) * up[i]; out may be gate or up. */
  void (*swiglu)(const float* gate, const float* up, int32_t n, float* out);
  /* Of y = silu(gate) * up: d_gate[i] and d_up[i] from dy[i]. Either may be dy, gate or up. */
  void (*swiglu_backward)(const float* gate, const float* up, const float* dy, int32_t n, float* d_gate, float* d_up);
  /* out[i] = x[i] * P(X <= x[i]) of a standard normal X: the GELU with the error function; out may be x. */
  void (*gelu)(const float* x, int32_t n, float* out);
  /* The largest that is not NaN; -infinity where there is none. */
  float (*max)(const float* x, int32_t n);
  /* out[i] = exp(scale * (x[i] - shift)) for exponents up to 88; returns the sum. out may be x. */
  float (*exp_sum)(const float* x, int32_t n, float shift, float scale, float* out);
  void (*f32_to_f16)(const float* x, int32_t n, uint16_t* out); /* round to nearest even */
  void (*f32_to_kv_q8)(const float* x, int32_t n, void* out); /* elms_kv_q8_bytes(n); the same bytes on every ISA */
  void (*f16_to_f32)(const uint16_t* x, int32_t n, float* out);
} elms_kernel_table;

/* What the CPU offers, found by core/cpu.cpp. */
typedef struct elms_cpu_features {
  bool avx2_fma_f16c;
  bool avx512_vnni; /* with F, BW, DQ and VL */
  bool neon;
  bool neon_dotprod;
  bool neon_i8mm;
} elms_cpu_features;

/* Every table built into this library, best last; count in *n_tables. Tests and benches walk it. */
const elms_kernel_table* const* elms_kernel_tables(size_t* n_tables);
/* Whether a CPU with these features can run the table. */
bool elms_kernel_table_runs_on(const elms_kernel_table* table, const elms_cpu_features* cpu);
/* The best table for this CPU, or the one named `isa` where that is not null; null where the name is unknown or the CPU
 * cannot run it. The scalar table always runs. */
const elms_kernel_table* elms_select_kernels(const elms_cpu_features* cpu, const char* isa);

#ifdef __cplusplus
}
#endif

#endif /* ELMS_DETAIL_KERNELS_H_ */
