#include <cstring>

#include "cli/peak/peak_loops.hpp"
#include "elms/detail/cpu.hpp"

namespace elms_cli {

std::vector<const PeakLoops*> runnable_peak_loops() {
  [[maybe_unused]] const elms_cpu_features cpu = elms::detail::detect_cpu_features();
  std::vector<const PeakLoops*> loops = {&kPeakPortable};
#if defined(ELMS_CLI_PEAK_X86)
  if (cpu.avx2_fma_f16c) loops.push_back(&kPeakAvx2);
  if (cpu.avx512_vnni) loops.push_back(&kPeakAvx512Vnni);
#endif
#if defined(ELMS_CLI_PEAK_NEON)
  if (cpu.neon) loops.push_back(&kPeakNeon);
  if (cpu.neon_dotprod) loops.push_back(&kPeakDotprod);
  if (cpu.neon_i8mm) loops.push_back(&kPeakI8mm);
#endif
  return loops;
}

const PeakLoops* find_peak_loops(const char* isa) {
  for (const PeakLoops* loops : runnable_peak_loops()) {
    if (std::strcmp(loops->isa, isa) == 0) return loops;
  }
  return nullptr;
}

}  // namespace elms_cli
