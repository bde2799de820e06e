// Storage types of tensors: sizes, names, and conversion to and from float.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "elms/status.hpp"
#include "elms/types.hpp"

namespace elms::inline v0::detail {

/// Layout of one type: `block_bytes` hold `block_elems` consecutive values of a row.
struct DTypeInfo {
  DType type;
  std::string_view name;  ///< as GGUF tools print it: "F32", "Q4_0", "Q4_K"
  std::uint32_t block_elems;
  std::uint32_t block_bytes;
  bool can_encode;  ///< F32 F16 BF16 Q8_0 Q4_0
};

/// Null for a type number that elms does not read.
[[nodiscard]] const DTypeInfo* find_dtype(std::uint32_t gguf_type) noexcept;
[[nodiscard]] const DTypeInfo& dtype_info(DType type) noexcept;
/// By name, case-insensitive ("q8_0", "F16"); nothing when unknown.
[[nodiscard]] std::optional<DType> parse_dtype(std::string_view name) noexcept;

/// Bytes of a row of n values; n is a multiple of block_elems.
[[nodiscard]] std::size_t row_bytes(DType type, std::size_t n) noexcept;

/// Values [0, n) of a row of any readable type as f32; n a multiple of block_elems; `row` of any alignment. Bit-identical
/// to ggml's dequantize_row_*.
void decode_row(DType type, const std::uint8_t* row, std::size_t n, float* out) noexcept;

/// The inverse for the types that can_encode, bit-identical to ggml's quantize_row_*_ref. Values outside the range of F16
/// become infinities, as in ggml.
void encode_row(DType type, const float* x, std::size_t n, std::uint8_t* row) noexcept;

[[nodiscard]] float f16_to_f32(std::uint16_t half) noexcept;
[[nodiscard]] std::uint16_t f32_to_f16(float value) noexcept;  ///< round to nearest even

}  // namespace elms::inline v0::detail
