#include "isa_cases.hpp"

#include "elms/detail/cpu.hpp"

namespace elms_test {

const elms_kernel_table* runnable_table(const std::string& isa) {
  const elms_cpu_features cpu = elms::detail::detect_cpu_features();
  std::size_t n_tables = 0;
  const elms_kernel_table* const* tables = elms_kernel_tables(&n_tables);
  for (std::size_t i = 0; i < n_tables; ++i) {
    if (tables[i]->isa == isa) return elms_kernel_table_runs_on(tables[i], &cpu) ? tables[i] : nullptr;
  }
  FAIL("the library has no kernels named " << isa);
  return nullptr;
}

}  // namespace elms_test
