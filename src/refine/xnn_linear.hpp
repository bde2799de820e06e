// XNNPACK's fully connected operator, and the only place that includes its header.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>

#include "elms/status.hpp"
#include "elms/thread_pool.hpp"

struct xnn_operator;

namespace elms::inline v0::detail {

/// Floats that XNNPACK may read past the end of an input.
inline constexpr std::size_t kXnnOverread = 16;

/// y = W x + b in f32 on a pthreadpool, with a packed copy of W. Any number of threads may call one: since
/// the operator holds the addresses of its call, their calls take turns.
class XnnLinear {
 public:
  XnnLinear() = default;

  /// weights [n_out, n_in], bias [n_out] or null; both are copied. `relu`: negative outputs become 0.
  /// kOutOfMemory, kUnsupported where XNNPACK does not run on this CPU.
  [[nodiscard]] static Result<XnnLinear> create(const float* weights, const float* bias, std::int32_t n_out,
                                                std::int32_t n_in, bool relu);

  /// x [m, n_in] with kXnnOverread floats behind it, y [m, n_out], both dense.
  [[nodiscard]] Status run(const float* x, std::int32_t m, float* y, ThreadPool& pool) const noexcept;

 private:
  struct Delete {
    void operator()(xnn_operator* op) const noexcept;
  };
  std::unique_ptr<xnn_operator, Delete> operator_;
  std::unique_ptr<std::mutex> turns_;
};

}  // namespace elms::inline v0::detail
