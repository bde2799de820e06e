#include "refine/xnn_linear.hpp"

#include <xnnpack.h>

#include <limits>
#include <new>

#include "elms/detail/error.hpp"

namespace elms::inline v0::detail {
namespace {

static_assert(kXnnOverread * sizeof(float) >= XNN_EXTRA_BYTES);

Status xnn_error(xnn_status status) {
  if (status == xnn_status_success) return {};
  if (status == xnn_status_out_of_memory) return error(StatusCode::kOutOfMemory, "XNNPACK: out of memory");
  if (status == xnn_status_unsupported_hardware) return unsupported("XNNPACK does not run on this CPU");
  return error(StatusCode::kInternal, "XNNPACK: status ", static_cast<int>(status));
}

}  // namespace

void XnnLinear::Delete::operator()(xnn_operator* op) const noexcept {
  xnn_delete_operator(op);
}

Result<XnnLinear> XnnLinear::create(const float* weights, const float* bias, std::int32_t n_out,
                                    std::int32_t n_in, bool relu) {
  ELMS_RETURN_IF_ERROR(xnn_error(xnn_initialize(nullptr)));
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const auto out = static_cast<std::size_t>(n_out), in = static_cast<std::size_t>(n_in);
  XnnLinear linear;
  xnn_operator_t created = nullptr;
  ELMS_RETURN_IF_ERROR(xnn_error(xnn_create_fully_connected_nc_f32(
      in, out, in, out, weights, bias, relu ? 0.0f : -kInfinity, kInfinity, 0, &created)));
  linear.operator_.reset(created);
  linear.turns_.reset(new (std::nothrow) std::mutex);
  if (linear.turns_ == nullptr) return error(StatusCode::kOutOfMemory, "XNNPACK: out of memory");
  return linear;
}

Status XnnLinear::run(const float* x, std::int32_t m, float* y, ThreadPool& pool) const noexcept {
  pthreadpool_t threads = pool.native();
  const std::lock_guard<std::mutex> turn(*turns_);
  ELMS_RETURN_IF_ERROR(xnn_error(
      xnn_setup_fully_connected_nc_f32(operator_.get(), static_cast<std::size_t>(m), x, y, threads)));
  return xnn_error(xnn_run_operator(operator_.get(), threads));
}

}  // namespace elms::inline v0::detail
