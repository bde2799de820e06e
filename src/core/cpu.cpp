#include "elms/detail/cpu.hpp"

#include <cpuinfo.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>

#if defined(__linux__)
#include <sched.h>
#endif
#if defined(__linux__) && defined(__aarch64__)
#include <sys/auxv.h>
#endif

#include "elms/detail/error.hpp"

namespace elms::inline v0::detail {

namespace {

#if defined(__aarch64__)
bool has_i8mm() noexcept {
#if defined(__linux__)
  // Debian's cpuinfo (2022) has no query for i8mm; the kernel reports it in bit 13 of HWCAP2.
  constexpr unsigned long kHwcap2I8mm = 1ul << 13;
  return (::getauxval(AT_HWCAP2) & kHwcap2I8mm) != 0;
#elif defined(__APPLE__) && defined(__ARM_FEATURE_MATMUL_INT8)
  return true;
#else
  return false;
#endif
}
#endif

/// Cores in this process's affinity mask; the hardware's count where there is no such mask.
std::size_t count_allowed_cores() noexcept {
#if defined(__linux__)
  cpu_set_t allowed;
  if (::sched_getaffinity(0, sizeof allowed, &allowed) == 0) {
    return static_cast<std::size_t>(std::max(1, CPU_COUNT(&allowed)));
  }
#endif
  return std::max(1u, std::thread::hardware_concurrency());
}

}  // namespace

elms_cpu_features detect_cpu_features() noexcept {
  elms_cpu_features features{};
#if defined(__x86_64__) || defined(_M_X64)
  if (cpuinfo_initialize()) {
    features.avx2_fma_f16c = cpuinfo_has_x86_avx2() && cpuinfo_has_x86_fma3() && cpuinfo_has_x86_f16c();
    features.avx512_vnni = features.avx2_fma_f16c && cpuinfo_has_x86_avx512f() && cpuinfo_has_x86_avx512bw() &&
                           cpuinfo_has_x86_avx512dq() && cpuinfo_has_x86_avx512vl() && cpuinfo_has_x86_avx512vnni();
  }
#elif defined(__aarch64__)
  features.neon = true;  // part of the architecture
  features.neon_dotprod = cpuinfo_initialize() && cpuinfo_has_arm_neon_dot();
  features.neon_i8mm = features.neon_dotprod && has_i8mm();
#endif
  return features;
}

std::string cpu_name() {
  if (!cpuinfo_initialize() || cpuinfo_get_packages_count() == 0) return "unknown";
  const cpuinfo_package& package = *cpuinfo_get_package(0);
  const std::string name(package.name, strnlen(package.name, sizeof package.name));
  return name.empty() ? "unknown" : name;
}

std::size_t count_fast_cores() noexcept {
  const std::size_t allowed = count_allowed_cores();
  if (!cpuinfo_initialize() || cpuinfo_get_clusters_count() == 0) return allowed;
  std::uint64_t best_frequency = 0;
  for (std::uint32_t i = 0; i < cpuinfo_get_clusters_count(); ++i) {
    best_frequency = std::max<std::uint64_t>(best_frequency, cpuinfo_get_cluster(i)->frequency);
  }
  // Middle cores of a three-cluster phone run at over two thirds of the prime core's clock, little ones below.
  std::size_t fast = 0;
  for (std::uint32_t i = 0; i < cpuinfo_get_clusters_count(); ++i) {
    const cpuinfo_cluster* cluster = cpuinfo_get_cluster(i);
    if (3 * cluster->frequency >= 2 * best_frequency) fast += cluster->core_count;
  }
  return std::clamp<std::size_t>(fast, 1, allowed);
}

Result<const elms_kernel_table*> select_kernels() {
  const elms_cpu_features features = detect_cpu_features();
  const char* forced = std::getenv("ELMS_ISA");
  if (forced != nullptr && *forced == '\0') forced = nullptr;
  const elms_kernel_table* table = elms_select_kernels(&features, forced);
  if (table != nullptr) return table;
  std::string runnable;
  std::size_t n_tables = 0;
  const elms_kernel_table* const* tables = elms_kernel_tables(&n_tables);
  for (std::size_t i = 0; i < n_tables; ++i) {
    if (elms_kernel_table_runs_on(tables[i], &features)) runnable += concat(runnable.empty() ? "" : ", ", tables[i]->isa);
  }
  return unsupported("ELMS_ISA=", forced == nullptr ? "" : forced, ": no such kernels for this CPU; it runs: ", runnable);
}

}  // namespace elms::inline v0::detail
