// What this machine can do at best, and what this process took of it.
#pragma once

#include <cstdint>

#include "elms/status.hpp"
#include "elms/thread_pool.hpp"

namespace elms_cli {

struct MachineLimits {
  const char* isa = "";      ///< instruction set of the two peaks
  double read_gb_s = 0.0;    ///< reading memory that no cache holds, GB/s
  double int8_gops = 0.0;    ///< products of bytes added up in 32 bits, 1e9 operations a second
  double f32_gflops = 0.0;   ///< fused multiply-adds, 1e9 operations a second
};

/// Measured on all threads of the pool, the best of several runs: about a second. Takes up to 512 MB for that time.
elms::Result<MachineLimits> measure_limits(elms::ThreadPool& pool);

/// Most memory that this process ever had resident; 0 where the system does not say.
std::uint64_t peak_rss_bytes();

}  // namespace elms_cli
