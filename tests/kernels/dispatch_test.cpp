#include <map>
#include <set>
#include <string>

#include "isa_cases.hpp"

namespace {

std::vector<const elms_kernel_table*> all_tables() {
  std::size_t n_tables = 0;
  const elms_kernel_table* const* tables = elms_kernel_tables(&n_tables);
  return {tables, tables + n_tables};
}

constexpr elms_cpu_features kPlainCpu{};
constexpr elms_cpu_features kFullCpu{true, true, true, true, true};

}  // namespace

TEST_CASE("every table in the library has its test cases", "[kernels][dispatch]") {
#define ELMS_ISA_NAME(isa, unused) #isa,
  const std::set<std::string> tested = {ELMS_FOR_EACH_ISA(ELMS_ISA_NAME, )};
  std::set<std::string> built;
  for (const elms_kernel_table* table : all_tables()) built.insert(table->isa);
  CHECK(built == tested);
}

TEST_CASE("every table is complete and its kernels are named for what they are", "[kernels][dispatch]") {
  const std::string formats[] = {"f32", "f16", "bf16", "q8", "q4"};
  for (const elms_kernel_table* table : all_tables()) {
    INFO(table->isa);
    for (int format = 0; format < ELMS_WEIGHT_FORMAT_COUNT; ++format) {
      const elms_gemm_kernel* kernel = table->gemm[format];
      REQUIRE(kernel != nullptr);
      CHECK(kernel->format == format);
      const bool quantised = format == ELMS_WEIGHT_Q8 || format == ELMS_WEIGHT_Q4;
      CHECK(kernel->block_k == (quantised ? 32 : 1));
      CHECK((kernel->prepare_lhs != nullptr) == quantised);
      CHECK((kernel->lhs_bytes != nullptr) == quantised);
      CHECK(32 % kernel->nr == 0);  // levels are cut at multiples of 32
      const std::string name = kernel->name;
      const std::string prefix =
          std::string("elms_gemm_f32_") + (quantised ? "q8_" : "f32_") + formats[format] + "_";
      const std::string tile = std::to_string(kernel->mr) + "x" + std::to_string(kernel->nr) + "_";
      CHECK(name.rfind(prefix + tile, 0) == 0);
    }
    REQUIRE(table->tile_f32 != nullptr);
    const elms_tile_kernel& tile = *table->tile_f32;
    const std::string prefix = "elms_tile_f32_" + std::to_string(tile.mr) + "x" + std::to_string(tile.nr) + "_";
    CHECK(std::string(tile.name).rfind(prefix, 0) == 0);
    CHECK(12 % tile.mr == 0);  // training cuts blocks that are whole tiles of every kernel
    CHECK(32 % tile.nr == 0);
    CHECK(table->gemm[ELMS_WEIGHT_Q8]->prepare_lhs == table->gemm[ELMS_WEIGHT_Q4]->prepare_lhs);
    CHECK(table->gemm[ELMS_WEIGHT_Q8]->mr == table->gemm[ELMS_WEIGHT_Q4]->mr);
  }
}

TEST_CASE("a CPU without extensions gets the scalar kernels", "[kernels][dispatch]") {
  REQUIRE(elms_select_kernels(&kPlainCpu, nullptr) != nullptr);
  CHECK(std::string(elms_select_kernels(&kPlainCpu, nullptr)->isa) == "scalar");
  CHECK(elms_select_kernels(&kPlainCpu, "avx2") == nullptr);
  CHECK(elms_select_kernels(&kPlainCpu, "neon") == nullptr);
}

TEST_CASE("the last table that the CPU runs is chosen, or the one asked for by name", "[kernels][dispatch]") {
  const auto tables = all_tables();
  CHECK(elms_select_kernels(&kFullCpu, nullptr) == tables.back());
  for (const elms_kernel_table* table : tables) CHECK(elms_select_kernels(&kFullCpu, table->isa) == table);
  CHECK(elms_select_kernels(&kFullCpu, "mmx") == nullptr);
  CHECK(elms_select_kernels(&kFullCpu, "") == nullptr);
}

TEST_CASE("each table names the features it needs", "[kernels][dispatch]") {
  using Features = std::vector<bool elms_cpu_features::*>;
  const std::map<std::string, Features> needs = {
      {"scalar", {}},
      {"avx2", {&elms_cpu_features::avx2_fma_f16c}},
      {"avx512vnni", {&elms_cpu_features::avx2_fma_f16c, &elms_cpu_features::avx512_vnni}},
      {"neon", {&elms_cpu_features::neon}},
      {"dotprod", {&elms_cpu_features::neon, &elms_cpu_features::neon_dotprod}},
      {"i8mm", {&elms_cpu_features::neon, &elms_cpu_features::neon_dotprod, &elms_cpu_features::neon_i8mm}}};
  for (const elms_kernel_table* table : all_tables()) {
    INFO(table->isa);
    elms_cpu_features enough{};
    for (const auto feature : needs.at(table->isa)) enough.*feature = true;
    CHECK(elms_kernel_table_runs_on(table, &enough));
    for (const auto feature : needs.at(table->isa)) {
      elms_cpu_features lacking = kFullCpu;
      lacking.*feature = false;
      CHECK_FALSE(elms_kernel_table_runs_on(table, &lacking));
    }
  }
  const elms_kernel_table unknown{};
  CHECK_FALSE(elms_kernel_table_runs_on(&unknown, &kFullCpu));
}
