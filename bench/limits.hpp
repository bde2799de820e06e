// What one thread of this machine can do at best, measured in slices between the runs of a kernel.
#pragma once

#include <cstdint>
#include <vector>

#include "cli/peak/peak_loops.hpp"

namespace elms_bench {

/// Seconds that this process computed. Unlike a wall clock it stands still while other processes have the
/// core, so that figures mean something on a machine that others use too.
double cpu_seconds();

/// Which limit of the machine a kernel works against.
enum class Limit { kInt8, kF32, kRead };

class MachineLimits {
 public:
  MachineLimits();

  /// One slice of a few milliseconds: 1e9 operations or bytes a second.
  [[nodiscard]] double measure(Limit limit);
  /// The instruction set whose arithmetic is measured: the CPU's fastest until use() names another that it
  /// runs.
  [[nodiscard]] const char* isa() const { return loops_->isa; }
  void use(const char* isa);

 private:
  [[nodiscard]] double read_slice();

  const elms_cli::PeakLoops* loops_;
  std::vector<std::uint64_t> memory_;  // more than any cache holds
  std::size_t next_ = 0;
  std::uint64_t sum_ = 0;
};

}  // namespace elms_bench
