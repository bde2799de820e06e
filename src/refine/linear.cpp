#include "refine/linear.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "elms/detail/dtype.hpp"
#include "elms/detail/error.hpp"

namespace elms::inline v0::detail {
namespace {

constexpr std::int32_t kBlock = 32;

/// All rows as floats, [rows, cols].
Result<Buffer<float>> decode_all(const SourceTensor& tensor) {
  ELMS_ASSIGN_OR_RETURN(auto values,
                        Buffer<float>::uninitialized(static_cast<std::size_t>(tensor.rows * tensor.cols)));
  for (std::uint64_t r = 0; r < tensor.rows; ++r) tensor.decode_row(r, values.data() + r * tensor.cols);
  return values;
}

/// Panels of int8 blocks.
Result<PackedMatrix> pack_int8(const SourceTensor& tensor, const elms_kernel_table& kernels) {
  return pack_float_rows(
      kernels, DType::kQ8_0, static_cast<std::int32_t>(tensor.rows), static_cast<std::int32_t>(tensor.cols),
      [&](std::int32_t row, float* out) { tensor.decode_row(static_cast<std::uint64_t>(row), out); });
}

void activate(LinearActivation activation, float* x, std::int32_t n,
              const elms_kernel_table& kernels) noexcept {
  if (activation == LinearActivation::kGelu) kernels.gelu(x, n, x);
  if (activation == LinearActivation::kRelu) {
    for (std::int32_t i = 0; i < n; ++i) x[i] = x[i] < 0.0f ? 0.0f : x[i];  // NaN stays NaN
  }
}

/// Int8 calls that share their input in one parallel section; a task activates what it has computed.
void run_int8(std::span<const LinearCall> calls, const float* x, std::int32_t m, std::uint8_t* scratch,
              const LinearSettings& settings) noexcept {
  const Linear& first = *calls[0].linear;
  const Lhs lhs = prepare_lhs(*first.packed.kernel, x, static_cast<std::size_t>(first.n_in), m, first.n_in,
                              scratch, *settings.pool);
  std::array<Product, kMaxLinearCalls> products;
  for (std::size_t i = 0; i < calls.size(); ++i) {
    const Linear& linear = *calls[i].linear;
    products[i] = {&linear.packed,     linear.n_out, linear.n_in,
                   linear.bias.data(), calls[i].out, static_cast<std::size_t>(linear.n_out)};
  }
  run_products(std::span(products).first(calls.size()), lhs, *settings.pool,
               [&](std::size_t i, std::int32_t column, std::int32_t n) {
                 if (calls[i].linear->activation == LinearActivation::kNone) return;
                 for (std::int32_t r = 0; r < m; ++r) {
                   float* row = calls[i].out + static_cast<std::size_t>(r) * products[i].dst_stride;
                   activate(calls[i].linear->activation, row + column, n, *settings.kernels);
                 }
               });
}

Status run_f32(const LinearCall& call, const float* x, std::int32_t m,
               const LinearSettings& settings) noexcept {
  ELMS_RETURN_IF_ERROR(call.linear->xnn.run(x, m, call.out, *settings.pool));
  if (call.linear->activation != LinearActivation::kGelu) return {};  // the operator clamps by itself
  constexpr std::int32_t kRowsPerTask = 16;
  const std::int32_t n = call.linear->n_out;
  settings.pool->parallel_for(
      static_cast<std::size_t>((m + kRowsPerTask - 1) / kRowsPerTask), [&](std::size_t task) {
        const std::int32_t begin = static_cast<std::int32_t>(task) * kRowsPerTask;
        for (std::int32_t r = begin; r < std::min(m, begin + kRowsPerTask); ++r) {
          activate(LinearActivation::kGelu,
                   call.out + static_cast<std::size_t>(r) * static_cast<std::size_t>(n), n,
                   *settings.kernels);
        }
      });
  return {};
}

}  // namespace

std::size_t Linear::weight_bytes() const noexcept {
  return is_int8 ? packed.panels.size_bytes() + bias.size_bytes()
                 : sizeof(float) * static_cast<std::size_t>(n_out) * (static_cast<std::size_t>(n_in) + 1);
}

Result<Linear> make_linear(const SourceTensor& weights, const SourceTensor& bias, LinearActivation activation,
                           const LinearSettings& settings) {
  Linear linear;
  linear.n_out = static_cast<std::int32_t>(weights.rows);
  linear.n_in = static_cast<std::int32_t>(weights.cols);
  linear.activation = activation;
  linear.is_int8 = settings.precision == EncoderPrecision::kInt8 && linear.n_in % kBlock == 0;
  ELMS_ASSIGN_OR_RETURN(linear.bias, decode_all(bias));
  if (linear.is_int8) {
    ELMS_ASSIGN_OR_RETURN(linear.packed, pack_int8(weights, *settings.kernels));
    return linear;
  }
  ELMS_ASSIGN_OR_RETURN(const Buffer<float> values, decode_all(weights));
  ELMS_ASSIGN_OR_RETURN(linear.xnn, XnnLinear::create(values.data(), linear.bias.data(), linear.n_out,
                                                      linear.n_in, activation == LinearActivation::kRelu));
  linear.bias = {};
  return linear;
}

std::size_t linear_scratch_bytes(const Linear& linear, std::int32_t m) noexcept {
  return linear.is_int8 ? lhs_bytes(*linear.packed.kernel, m, linear.n_in) : 0;
}

Status run_linear(std::span<const LinearCall> calls, const float* x, std::int32_t m, std::uint8_t* scratch,
                  const LinearSettings& settings) noexcept {
  if (calls[0].linear->is_int8) {  // all have the same number of inputs, which decides
    run_int8(calls, x, m, scratch, settings);
    return {};
  }
  for (const LinearCall& call : calls) ELMS_RETURN_IF_ERROR(run_f32(call, x, m, settings));
  return {};
}

}  // namespace elms::inline v0::detail
