#include "refine/encoder_attention.hpp"

#include <algorithm>
#include <cmath>

namespace elms::inline v0::detail {
namespace {

/// Queries of an item of work: a multiple of what the blocked kernels take at once.
constexpr std::int32_t kQueryRows = 48;

}  // namespace

Result<EncoderAttention> EncoderAttention::create(const EncoderConfig& config, std::int32_t max_rows,
                                                  const LinearSettings& settings) {
  EncoderAttention attention;
  attention.config_ = &config;
  attention.settings_ = &settings;
  attention.max_rows_ = max_rows;
  attention.n_tasks_ = std::max<std::size_t>(1, 4 * settings.pool->n_threads());
  const std::size_t floats =
      settings.kernels->attention_scratch_floats(kQueryRows, config.d_inner / config.n_heads, max_rows);
  attention.task_floats_ = (floats + 15) / 16 * 16;
  ELMS_ASSIGN_OR_RETURN(attention.scratch_,
                        Buffer<float>::uninitialized(attention.n_tasks_ * attention.task_floats_));
  if (settings.precision == EncoderPrecision::kInt8) {
    const std::size_t n = 2 * static_cast<std::size_t>(max_rows) * static_cast<std::size_t>(config.d_inner);
    ELMS_ASSIGN_OR_RETURN(attention.halves_, Buffer<std::uint16_t>::uninitialized(n));
  }
  return attention;
}

void EncoderAttention::run(const float* q, const float* k, const float* v, std::int32_t m,
                           float* out) noexcept {
  const elms_kernel_table& kernels = *settings_->kernels;
  ThreadPool& pool = *settings_->pool;
  const auto d = static_cast<std::size_t>(config_->d_inner);
  const auto head_dim = static_cast<std::size_t>(config_->d_inner / config_->n_heads);
  const bool in_halves = !halves_.empty();
  std::uint16_t* k16 = halves_.data();
  std::uint16_t* v16 = in_halves ? halves_.data() + static_cast<std::size_t>(max_rows_) * d : nullptr;
  if (in_halves) {
    pool.parallel_for(static_cast<std::size_t>((m + kQueryRows - 1) / kQueryRows), [&](std::size_t block) {
      const std::size_t begin = block * kQueryRows * d;
      const std::size_t n = std::min(static_cast<std::size_t>(m) * d, begin + kQueryRows * d) - begin;
      kernels.f32_to_f16(k + begin, static_cast<std::int32_t>(n), k16 + begin);
      kernels.f32_to_f16(v + begin, static_cast<std::int32_t>(n), v16 + begin);
    });
  }
  const auto n_heads = static_cast<std::size_t>(config_->n_heads);
  const std::size_t n_items = n_heads * static_cast<std::size_t>((m + kQueryRows - 1) / kQueryRows);
  const std::int64_t macs = std::int64_t{2} * m * m * config_->d_inner;
  const std::size_t n_tasks = std::min({n_items, n_tasks_, worthwhile_tasks(macs, pool)});
  pool.parallel_for(n_tasks, [&](std::size_t task) {
    for (std::size_t item = task; item < n_items; item += n_tasks) {
      const std::size_t column = item % n_heads * head_dim;
      const auto row = static_cast<std::int32_t>(item / n_heads) * kQueryRows;
      const std::size_t offset = static_cast<std::size_t>(row) * d + column;
      elms_attention_args args{};
      args.q = q + offset;
      args.q_head_stride = args.out_head_stride = d;
      args.k = in_halves ? static_cast<const void*>(k16 + column) : k + column;
      args.v = in_halves ? static_cast<const void*>(v16 + column) : v + column;
      args.kv_stride_bytes = d * (in_halves ? sizeof(std::uint16_t) : sizeof(float));
      args.n_rows = 1;
      args.n_heads = std::min(kQueryRows, m - row);
      args.head_dim = static_cast<std::int32_t>(head_dim);
      args.first_position = m - 1;
      args.scale = 1.0f / std::sqrt(static_cast<float>(head_dim));
      args.out = out + offset;
      args.scratch = scratch_.data() + task * task_floats_;
      (in_halves ? kernels.attention : kernels.attention_f32)(&args);
    }
  });
}

}  // namespace elms::inline v0::detail
