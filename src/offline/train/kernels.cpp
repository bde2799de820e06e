#include "offline/train/kernels.hpp"

#include "elms/detail/cpu.hpp"

namespace elms::inline v0::offline::train {

const elms_kernel_table& training_kernels() noexcept {
  static const elms_kernel_table* const chosen = [] {
    const Result<const elms_kernel_table*> selected = detail::select_kernels();
    std::size_t n_tables = 0;
    return selected.has_value() ? *selected : elms_kernel_tables(&n_tables)[0];
  }();
  return *chosen;
}

}  // namespace elms::inline v0::offline::train
