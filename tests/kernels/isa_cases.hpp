// One Catch2 case per ISA of this architecture, so that a CPU that cannot run one shows as a skip.
#pragma once

#include <string>
#include <vector>

#include "elms/detail/kernels.h"
#include "support.hpp"

namespace elms_test {

/// The table of that name; null when this CPU cannot run it. Fails the case when it is not in the library.
const elms_kernel_table* runnable_table(const std::string& isa);

#if defined(__x86_64__) || defined(_M_X64)
#define ELMS_FOR_EACH_ISA(macro, ...) \
  macro(scalar, __VA_ARGS__) macro(avx2, __VA_ARGS__) macro(avx512vnni, __VA_ARGS__)
#elif defined(__aarch64__)
#define ELMS_FOR_EACH_ISA(macro, ...) \
  macro(scalar, __VA_ARGS__) macro(neon, __VA_ARGS__) macro(dotprod, __VA_ARGS__) macro(i8mm, __VA_ARGS__)
#else
#define ELMS_FOR_EACH_ISA(macro, ...) macro(scalar, __VA_ARGS__)
#endif

#define ELMS_ONE_ISA_CASE(isa, body, name, tags)                                 \
  TEST_CASE(#isa ": " name, tags) {                                              \
    const elms_kernel_table* table = ::elms_test::runnable_table(#isa);          \
    if (table == nullptr) ELMS_SKIP("this CPU cannot run the " #isa " kernels"); \
    body(*table);                                                                \
  }

/// ELMS_KERNEL_CASE(function, "does this", "[kernels][gemm]") { ... `kernels` is the table ... }
#define ELMS_KERNEL_CASE(function, name, tags)               \
  static void function(const elms_kernel_table& kernels);    \
  ELMS_FOR_EACH_ISA(ELMS_ONE_ISA_CASE, function, name, tags) \
  static void function(const elms_kernel_table& kernels)

}  // namespace elms_test
