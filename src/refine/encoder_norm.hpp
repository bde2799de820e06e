// The norms of encoders, with the residual connection before them.
#pragma once

#include <cstdint>

#include "elms/detail/encoder.hpp"
#include "elms/thread_pool.hpp"
#include "refine/encoder_layers.hpp"

namespace elms::inline v0::detail {

/// out = norm(x + residual), rows [m, n], all dense; residual may be null, out may be x or residual.
void run_norm(const EncoderNormWeights& norm, const EncoderConfig& config, const float* x,
              const float* residual, std::int32_t m, std::int32_t n, float* out, ThreadPool& pool) noexcept;

}  // namespace elms::inline v0::detail
