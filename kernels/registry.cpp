// The one list of kernels: dispatch, tests and benches all read it through elms_kernel_tables().
#include <string.h>

#include "kernels/declarations.h"

namespace {

// The kernels that every ISA names alike.
#define ELMS_ATTENTION_KERNELS(isa) \
  elms_attention_scratch_floats_##isa, elms_attention_f32_f16_##isa, elms_attention_f32_q8_##isa, \
      elms_attention_f32_f32_##isa
#define ELMS_ROW_KERNELS(isa)                                                                    \
  elms_rms_norm_f32_##isa, elms_rope_f32_##isa, elms_swiglu_f32_##isa,                           \
      elms_swiglu_backward_f32_##isa, elms_gelu_f32_##isa, elms_max_f32_##isa,                   \
      elms_exp_sum_f32_##isa, elms_f32_to_f16_##isa, elms_f32_to_kv_q8_scalar, elms_f16_to_f32_##isa
#define ELMS_VECTOR_KERNELS(isa) ELMS_ATTENTION_KERNELS(isa), ELMS_ROW_KERNELS(isa)

constexpr elms_kernel_table kScalar = {
    "scalar",
    {&elms_gemm_f32_f32_f32_1x4_scalar, &elms_gemm_f32_f32_f16_1x4_scalar, &elms_gemm_f32_f32_bf16_1x4_scalar,
     &elms_gemm_f32_q8_q8_1x4_scalar, &elms_gemm_f32_q8_q4_1x4_scalar},
    &elms_tile_f32_4x8_scalar,
    ELMS_VECTOR_KERNELS(scalar)};

#if defined(__x86_64__) || defined(_M_X64)
constexpr elms_kernel_table kAvx2 = {
    "avx2",
    {&elms_gemm_f32_f32_f32_6x16_avx2, &elms_gemm_f32_f32_f16_6x16_avx2, &elms_gemm_f32_f32_bf16_6x16_avx2,
     &elms_gemm_f32_q8_q8_32x16_avx2, &elms_gemm_f32_q8_q4_32x16_avx2},
    &elms_tile_f32_6x16_avx2,
    ELMS_VECTOR_KERNELS(avx2)};
constexpr elms_kernel_table kAvx512Vnni = {
    "avx512vnni",
    {&elms_gemm_f32_f32_f32_6x16_avx2, &elms_gemm_f32_f32_f16_6x16_avx2, &elms_gemm_f32_f32_bf16_6x16_avx2,
     &elms_gemm_f32_q8_q8_32x16_avx512vnni, &elms_gemm_f32_q8_q4_32x16_avx512vnni},
    &elms_tile_f32_12x32_avx512vnni,
    ELMS_ATTENTION_KERNELS(avx512vnni),
    ELMS_ROW_KERNELS(avx2)};
#endif

#if defined(__aarch64__) || defined(_M_ARM64)
constexpr elms_kernel_table kNeon = {
    "neon",
    {&elms_gemm_f32_f32_f32_8x8_neon, &elms_gemm_f32_f32_f16_8x8_neon, &elms_gemm_f32_f32_bf16_8x8_neon,
     &elms_gemm_f32_q8_q8_8x8_neon, &elms_gemm_f32_q8_q4_8x8_neon},
    &elms_tile_f32_12x8_neon,
    ELMS_VECTOR_KERNELS(neon)};
constexpr elms_kernel_table kDotprod = {
    "dotprod",
    {&elms_gemm_f32_f32_f32_8x8_neon, &elms_gemm_f32_f32_f16_8x8_neon, &elms_gemm_f32_f32_bf16_8x8_neon,
     &elms_gemm_f32_q8_q8_8x8_dotprod, &elms_gemm_f32_q8_q4_8x8_dotprod},
    &elms_tile_f32_12x8_neon,
    ELMS_VECTOR_KERNELS(neon)};
constexpr elms_kernel_table kI8mm = {
    "i8mm",
    {&elms_gemm_f32_f32_f32_8x8_neon, &elms_gemm_f32_f32_f16_8x8_neon, &elms_gemm_f32_f32_bf16_8x8_neon,
     &elms_gemm_f32_q8_q8_8x8_i8mm, &elms_gemm_f32_q8_q4_8x8_i8mm},
    &elms_tile_f32_12x8_neon,
    ELMS_VECTOR_KERNELS(neon)};
#endif

// A table and the features it needs, best last.
struct Entry {
  const elms_kernel_table* table;
  elms_cpu_features needs;
};

constexpr elms_cpu_features features(bool elms_cpu_features::*feature, elms_cpu_features with = {}) {
  with.*feature = true;
  return with;
}

constexpr Entry kRegistry[] = {
    {&kScalar, {}},
#if defined(__x86_64__) || defined(_M_X64)
    {&kAvx2, features(&elms_cpu_features::avx2_fma_f16c)},
    {&kAvx512Vnni, features(&elms_cpu_features::avx512_vnni, features(&elms_cpu_features::avx2_fma_f16c))},
#endif
#if defined(__aarch64__) || defined(_M_ARM64)
    {&kNeon, features(&elms_cpu_features::neon)},
    {&kDotprod, features(&elms_cpu_features::neon_dotprod, features(&elms_cpu_features::neon))},
    {&kI8mm, features(&elms_cpu_features::neon_i8mm,
                      features(&elms_cpu_features::neon_dotprod, features(&elms_cpu_features::neon)))},
#endif
};
constexpr size_t kTableCount = sizeof kRegistry / sizeof kRegistry[0];

struct TableList {
  const elms_kernel_table* tables[kTableCount];
};

constexpr TableList list_tables() {
  TableList list{};
  for (size_t i = 0; i < kTableCount; ++i) list.tables[i] = kRegistry[i].table;
  return list;
}

constexpr TableList kTables = list_tables();

bool has_all(const elms_cpu_features& needs, const elms_cpu_features& cpu) {
  return (!needs.avx2_fma_f16c || cpu.avx2_fma_f16c) && (!needs.avx512_vnni || cpu.avx512_vnni) &&
         (!needs.neon || cpu.neon) && (!needs.neon_dotprod || cpu.neon_dotprod) &&
         (!needs.neon_i8mm || cpu.neon_i8mm);
}

}  // namespace

extern "C" {

const elms_kernel_table* const* elms_kernel_tables(size_t* n_tables) {
  *n_tables = kTableCount;
  return kTables.tables;
}

bool elms_kernel_table_runs_on(const elms_kernel_table* table, const elms_cpu_features* cpu) {
  for (const Entry& entry : kRegistry) {
    if (entry.table == table) return has_all(entry.needs, *cpu);
  }
  return false;
}

const elms_kernel_table* elms_select_kernels(const elms_cpu_features* cpu, const char* isa) {
  const elms_kernel_table* best = nullptr;
  for (const Entry& entry : kRegistry) {
    if (!has_all(entry.needs, *cpu)) continue;
    if (isa == nullptr || strcmp(entry.table->isa, isa) == 0) best = entry.table;
  }
  return best;
}

}  // extern "C"
