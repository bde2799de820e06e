// Reading memory as fast as a thread can.
#pragma once

#include <cstddef>
#include <cstdint>

namespace elms_cli {

/// The sum of n words, a multiple of 16 * kRuns, read as kRuns runs side by side: hardware that foresees what
/// a thread reads next does so for every run, and brings more at a time where there are several.
template <std::size_t kRuns>
[[nodiscard]] std::uint64_t sum_of_runs(const std::uint64_t* words, std::size_t n) {
  constexpr std::size_t kChains = 16;  // independent sums, which compilers keep in vector registers
  std::uint64_t sums[kChains] = {};
  const std::size_t run = n / kRuns;
  for (std::size_t i = 0; i + kChains <= run; i += kChains) {
    for (std::size_t r = 0; r < kRuns; ++r) {
      for (std::size_t c = 0; c < kChains; ++c) sums[c] += words[r * run + i + c];
    }
  }
  std::uint64_t total = 0;
  for (const std::uint64_t sum : sums) total += sum;
  return total;
}

}  // namespace elms_cli
