// One linear layer of an encoder in either precision, and what several of them over one input share.
#pragma once

#include <cstdint>
#include <span>

#include "elms/detail/buffer.hpp"
#include "elms/detail/encoder.hpp"
#include "elms/detail/matmul.hpp"
#include "refine/xnn_linear.hpp"

namespace elms::inline v0::detail {

/// What is applied to the outputs of a linear layer.
enum class LinearActivation : std::uint8_t { kNone, kRelu, kGelu };

/// y = activation(W x + b): XNNPACK in f32, or elms' kernels in int8 where whole blocks of 32 make up a row.
struct Linear {
  std::int32_t n_out = 0;
  std::int32_t n_in = 0;
  LinearActivation activation = LinearActivation::kNone;
  bool is_int8 = false;
  PackedMatrix packed;  ///< int8
  Buffer<float> bias;   ///< [n_out], int8 only: XNNPACK's operator holds its own
  XnnLinear xnn;        ///< f32

  [[nodiscard]] std::size_t weight_bytes() const noexcept;
};

struct LinearSettings {
  EncoderPrecision precision = EncoderPrecision::kF32;
  const elms_kernel_table* kernels = nullptr;
  ThreadPool* pool = nullptr;
};

/// Packs weights [n_out, n_in] of any readable type; bias [n_out]. kOutOfMemory, kUnsupported.
[[nodiscard]] Result<Linear> make_linear(const SourceTensor& weights, const SourceTensor& bias,
                                         LinearActivation activation, const LinearSettings& settings);

/// A linear layer and where its outputs go, [m, n_out].
struct LinearCall {
  const Linear* linear;
  float* out;
};

/// That one run_linear takes at most: queries, keys and values.
inline constexpr std::size_t kMaxLinearCalls = 3;

/// Bytes that run_linear needs for an input [m, n_in].
[[nodiscard]] std::size_t linear_scratch_bytes(const Linear& linear, std::int32_t m) noexcept;

/// At most kMaxLinearCalls calls over one input x [m, n_in], kXnnOverread floats behind it. Those in int8
/// share its quantised form in `scratch`.
[[nodiscard]] Status run_linear(std::span<const LinearCall> calls, const float* x, std::int32_t m,
                                std::uint8_t* scratch, const LinearSettings& settings) noexcept;

}  // namespace elms::inline v0::detail
