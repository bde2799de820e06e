// Loops that do nothing but arithmetic in registers: what a core can do at best, to compare kernels with.
//
// One file for each instruction set, compiled with its flags. They share no code with kernels/ on purpose.
#pragma once

#include <cstdint>
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
template <typename Step>
double repeat_step(std::int64_t rounds) {
  typename Step::Vector sums[Step::kAccumulators];
  for (auto& sum : sums) sum = Step::start();
  typename Step::Vector a = Step::start(), b = Step::start();
  for (std::int64_t round = 0; round < rounds; ++round) {
    for (auto& sum : sums) {
      Step::keep(a);
      sum = Step::apply(a, b, sum);
    }
  }
  for (auto& sum : sums) Step::keep(sum);
  return static_cast<double>(rounds) * Step::kAccumulators * Step::kOperations;
}

}  // namespace elms_cli
