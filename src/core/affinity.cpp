#include <cpuinfo.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#if defined(__linux__)
#include <sched.h>
#endif

#include "elms/detail/cpu.hpp"
#include "elms/detail/error.hpp"

namespace elms::inline v0::detail {

#if defined(__linux__)

namespace {

/// One logical CPU: how fast its core is, and how many CPUs of that core come before it.
struct CpuRank {
  int id;
  std::uint64_t frequency;
  std::uint32_t smt_index;
};

}  // namespace

std::vector<int> allowed_cpus_fastest_first() {
  cpu_set_t allowed;
  if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0) return {};
  std::vector<CpuRank> candidates;
  if (cpuinfo_initialize()) {
    for (std::uint32_t i = 0; i < cpuinfo_get_processors_count(); ++i) {
      const cpuinfo_processor& cpu = *cpuinfo_get_processor(i);
      if (!CPU_ISSET(static_cast<std::size_t>(cpu.linux_id), &allowed)) continue;
      candidates.push_back({cpu.linux_id, cpu.cluster == nullptr ? 0 : cpu.cluster->frequency, cpu.smt_id});
    }
  }
  for (int id = 0; candidates.empty() && id < CPU_SETSIZE; ++id) {
    if (CPU_ISSET(static_cast<std::size_t>(id), &allowed)) candidates.push_back({id, 0, 0});
  }
  std::stable_sort(candidates.begin(), candidates.end(), [](const CpuRank& a, const CpuRank& b) {
    return a.smt_index != b.smt_index ? a.smt_index < b.smt_index : a.frequency > b.frequency;
  });
  std::vector<int> ids;
  for (const CpuRank& candidate : candidates) ids.push_back(candidate.id);
  return ids;
}

Result<int> current_cpu() noexcept { return ::sched_getcpu(); }

Result<int> pin_this_thread(int cpu) noexcept {
  cpu_set_t only;
  CPU_ZERO(&only);
  CPU_SET(static_cast<std::size_t>(cpu), &only);
  if (::sched_setaffinity(0, sizeof only, &only) != 0) {
    return error(StatusCode::kUnsupported, "cannot pin a thread to CPU ", cpu, ": ", std::strerror(errno));
  }
  return current_cpu();
}

#else

std::vector<int> allowed_cpus_fastest_first() { return {}; }

Result<int> current_cpu() noexcept { return unsupported("this system does not tell the CPU of a thread"); }

Result<int> pin_this_thread(int cpu) noexcept {
  return unsupported("cannot pin a thread to CPU ", cpu, ": this system does not offer it");
}

#endif

}  // namespace elms::inline v0::detail
