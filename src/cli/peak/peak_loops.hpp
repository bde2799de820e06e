// Loops that do nothing but arithmetic in registers: what a core can do at best, to compare kernels with.
//
// One file for each instruction set, compiled with its flags. They share no code with kernels/ on purpose.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace elms_cli {

/// Each function runs that many rounds of independent operations and returns how many operations they were; a
/// multiplication with its addition counts as two.
struct PeakLoops {
  const char* isa;
  double (*f32)(std::int64_t rounds);
  double (*int8)(std::int64_t rounds);
};

extern const PeakLoops kPeakPortable;
#if defined(ELMS_CLI_PEAK_X86)
extern const PeakLoops kPeakAvx2, kPeakAvx512Vnni;
#endif
#if defined(ELMS_CLI_PEAK_NEON)
extern const PeakLoops kPeakNeon, kPeakDotprod, kPeakI8mm;
#endif

/// Those that this CPU runs, the fastest last.
std::vector<const PeakLoops*> runnable_peak_loops();
/// Those of an instruction set by its name, or null where this CPU does not run them.
const PeakLoops* find_peak_loops(const char* isa);

/// `Step` has: Vector; start(), a Vector; keep(v), which makes the compiler believe that v is new; apply(a,
/// b, sum), the operations on one accumulator; kOperations of them; kAccumulators, enough to hide their
/// latency in the registers that there are.
///
/// Accumulators are named by constants, not by a loop's variable: compilers then keep them in registers at
/// every level of optimisation, where they would otherwise measure the stack.
template <typename Step, std::size_t... kIndex>
double repeat_step(std::int64_t rounds, std::index_sequence<kIndex...>) {
  typename Step::Vector sums[] = {((void)kIndex, Step::start())...};
  typename Step::Vector a = Step::start(), b = Step::start();
  for (std::int64_t round = 0; round < rounds; ++round) {
    ((Step::keep(a), sums[kIndex] = Step::apply(a, b, sums[kIndex])), ...);
  }
  (Step::keep(sums[kIndex]), ...);
  return static_cast<double>(rounds) * Step::kAccumulators * Step::kOperations;
}

template <typename Step>
double repeat_step(std::int64_t rounds) {
  return repeat_step<Step>(rounds, std::make_index_sequence<Step::kAccumulators>());
}

}  // namespace elms_cli
