// What this machine's CPU can do.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "elms/detail/kernels.h"
#include "elms/status.hpp"

namespace elms::inline v0::detail {

[[nodiscard]] elms_cpu_features detect_cpu_features() noexcept;

/// As the CPU or chip names itself, e.g. "AMD EPYC 9R14"; "unknown" where it does not.
[[nodiscard]] std::string cpu_name();

/// Number of the fastest cores that this process may run on (big cores of a phone), at least 1.
[[nodiscard]] std::size_t count_fast_cores() noexcept;

/// The kernels to use: the best that this CPU runs, or those named in $ELMS_ISA ("scalar", "avx2", "neon", "dotprod",
/// "i8mm"). kUnsupported when that variable names kernels that are unknown or cannot run here.
[[nodiscard]] Result<const elms_kernel_table*> select_kernels();

/// Logical CPUs that this process may run on, fastest cores first, one CPU of each core before its siblings. Empty where
/// the OS does not bind threads.
std::vector<int> allowed_cpus_fastest_first();

/// The CPU that the calling thread runs on. kUnsupported where the OS does not tell.
Result<int> current_cpu() noexcept;

/// Binds the calling thread to one CPU and returns the CPU that it then runs on. kUnsupported where the OS refuses.
Result<int> pin_this_thread(int cpu) noexcept;

}  // namespace elms::inline v0::detail
