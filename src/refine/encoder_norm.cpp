#include "refine/encoder_norm.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace elms::inline v0::detail {
namespace {

/// Partial sums that compilers keep in vector registers; a plain sum of floats may not be reordered.
constexpr std::size_t kLanes = 16;

float sum_of_row(const float* x, std::size_t n) noexcept {
  float lanes[kLanes] = {};
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) lanes[lane] += x[i + lane];
  }
  for (; i < n; ++i) lanes[0] += x[i];
  for (std::size_t half = kLanes / 2; half > 0; half /= 2) {
    for (std::size_t lane = 0; lane < half; ++lane) lanes[lane] += lanes[lane + half];
  }
  return lanes[0];
}

float squares_of_row(const float* x, float mean, std::size_t n) noexcept {
  float lanes[kLanes] = {};
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      const float centred = x[i + lane] - mean;
      lanes[lane] += centred * centred;
    }
  }
  for (; i < n; ++i) lanes[0] += (x[i] - mean) * (x[i] - mean);
  for (std::size_t half = kLanes / 2; half > 0; half /= 2) {
    for (std::size_t lane = 0; lane < half; ++lane) lanes[lane] += lanes[lane + half];
  }
  return lanes[0];
}

/// out = (x - mean) * factor * weight + bias.
void scale_row(const EncoderNormWeights& norm, const float* x, float mean, float factor, std::size_t n,
               float* out) noexcept {
  const float* weight = norm.weight.data();
  const float* bias = norm.bias.data();
  for (std::size_t i = 0; i < n; ++i) out[i] = (x[i] - mean) * factor * weight[i] + bias[i];
}

}  // namespace

void run_norm(const EncoderNormWeights& norm, const EncoderConfig& config, const float* x,
              const float* residual, std::int32_t m, std::int32_t n, float* out, ThreadPool& pool) noexcept {
  const auto cols = static_cast<std::size_t>(n), rows = static_cast<std::size_t>(m);
  constexpr std::size_t kValuesPerTask = 16 * 1024;  // less is not worth another thread
  const std::size_t rows_per_task = std::max<std::size_t>(1, kValuesPerTask / cols);
  pool.parallel_for((rows + rows_per_task - 1) / rows_per_task, [&](std::size_t task) {
    const std::size_t begin = task * rows_per_task;
    for (std::size_t r = begin; r < std::min(rows, begin + rows_per_task); ++r) {
      const float* row = x + r * cols;
      float* out_row = out + r * cols;
      if (residual != nullptr) {
        for (std::size_t i = 0; i < cols; ++i) out_row[i] = row[i] + residual[r * cols + i];
        row = out_row;
      }
      float mean = 0.0f, factor = 1.0f;
      if (config.norm == EncoderNorm::kLayerNorm) {
        mean = sum_of_row(row, cols) / static_cast<float>(n);
        factor =
            1.0f / std::sqrt(squares_of_row(row, mean, cols) / static_cast<float>(n) + config.norm_epsilon);
      }
      scale_row(norm, row, mean, factor, cols, out_row);
    }
  });
}

}  // namespace elms::inline v0::detail
