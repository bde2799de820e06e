#include "elms/detail/dtype.hpp"

#include <array>
#include <bit>
#include <cstring>

#include "io/block_codecs.hpp"

namespace elms::inline v0::detail {

namespace {

constexpr std::array<DTypeInfo, 11> kTypes = {{
    {DType::kF32, "F32", 1, 4, true},
    {DType::kF16, "F16", 1, 2, true},
    {DType::kBF16, "BF16", 1, 2, true},
    {DType::kQ8_0, "Q8_0", 32, 34, true},
    {DType::kQ4_0, "Q4_0", 32, 18, true},
    {DType::kQ4_1, "Q4_1", 32, 20, false},
    {DType::kQ5_0, "Q5_0", 32, 22, false},
    {DType::kQ5_1, "Q5_1", 32, 24, false},
    {DType::kQ4_K, "Q4_K", 256, 144, false},
    {DType::kQ5_K, "Q5_K", 256, 176, false},
    {DType::kQ6_K, "Q6_K", 256, 210, false},
}};

char ascii_upper(char c) noexcept {
  return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
}

// Above this magnitude a half is infinite; below the other it is subnormal.
constexpr std::uint32_t kF32BitsOf65536 = 0x47800000;
constexpr std::uint32_t kF32BitsOf2PowMinus14 = 0x38800000;

/// a < b ? yes : no, for a and b below 2^31. Without a condition, because GCC makes branches of those and
/// then does not vectorise.
std::uint32_t select_below(std::uint32_t a, std::uint32_t b, std::uint32_t yes, std::uint32_t no) noexcept {
  const auto mask = static_cast<std::uint32_t>(static_cast<std::int32_t>(a - b) >> 31);
  return (yes & mask) | (no & ~mask);
}

std::uint16_t f32_to_bf16(float value) noexcept {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7fffffff) > 0x7f800000)
    return static_cast<std::uint16_t>((bits >> 16) | 0x40);  // stays a NaN
  return static_cast<std::uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

float bf16_to_f32(std::uint16_t bf16) noexcept {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bf16) << 16);
}

template <float (*to_f32)(std::uint16_t) noexcept>
void decode_16_bit(const std::uint8_t* row, std::size_t n, float* out) noexcept {
  for (std::size_t i = 0; i < n; ++i) {
    std::uint16_t bits;
    std::memcpy(&bits, row + 2 * i, sizeof bits);
    out[i] = to_f32(bits);
  }
}

template <std::uint16_t (*from_f32)(float) noexcept>
void encode_16_bit(const float* x, std::size_t n, std::uint8_t* row) noexcept {
  for (std::size_t i = 0; i < n; ++i) {
    const std::uint16_t bits = from_f32(x[i]);
    std::memcpy(row + 2 * i, &bits, sizeof bits);
  }
}

/// Calls codec(block of the row, values of that block) for every block of a row.
template <typename Byte, typename Float, typename Codec>
void for_each_block(DType type, Byte* row, std::size_t n, Float* values, Codec codec) noexcept {
  const DTypeInfo& info = dtype_info(type);
  for (std::size_t i = 0; i < n / info.block_elems; ++i) {
    codec(row + i * info.block_bytes, values + i * info.block_elems);
  }
}

}  // namespace

const DTypeInfo* find_dtype(std::uint32_t gguf_type) noexcept {
  for (const DTypeInfo& info : kTypes) {
    if (static_cast<std::uint32_t>(info.type) == gguf_type) return &info;
  }
  return nullptr;
}

const DTypeInfo& dtype_info(DType type) noexcept {
  const DTypeInfo* info = find_dtype(static_cast<std::uint32_t>(type));
  return info != nullptr ? *info : kTypes[0];
}

std::optional<DType> parse_dtype(std::string_view name) noexcept {
  for (const DTypeInfo& info : kTypes) {
    if (info.name.size() != name.size()) continue;
    std::size_t i = 0;
    while (i < name.size() && ascii_upper(name[i]) == info.name[i]) ++i;
    if (i == name.size()) return info.type;
  }
  return std::nullopt;
}

std::size_t row_bytes(DType type, std::size_t n) noexcept {
  const DTypeInfo& info = dtype_info(type);
  return n / info.block_elems * info.block_bytes;
}

// Both conversions move the exponent by 112 (the difference of the biases, 127 - 15) and let a float addition
// of a power of two shift subnormal mantissas into place. No f32 subnormal takes part, so flush-to-zero
// cannot change them. Every case is computed and one is selected, so that compilers vectorise loops over
// them.
float f16_to_f32(std::uint16_t half) noexcept {
  constexpr std::uint32_t kSmallestNormal = 0x0400u << 13;
  constexpr std::uint32_t kInfinity = 0x7c00u << 13;
  const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000) << 16;
  const std::uint32_t magnitude = static_cast<std::uint32_t>(half & 0x7fff) << 13;
  const std::uint32_t normal = magnitude + (112u << 23);
  const float shifted = std::bit_cast<float>(magnitude + kF32BitsOf2PowMinus14);
  const auto subnormal = std::bit_cast<std::uint32_t>(shifted - std::bit_cast<float>(kF32BitsOf2PowMinus14));
  const std::uint32_t infinite_or_nan =
      magnitude | select_below(kInfinity, magnitude, 0x7fc00000, 0x7f800000);
  const std::uint32_t finite = select_below(magnitude, kSmallestNormal, subnormal, normal);
  return std::bit_cast<float>(sign | select_below(magnitude, kInfinity, finite, infinite_or_nan));
}

std::uint16_t f32_to_f16(float value) noexcept {
  constexpr std::uint32_t kInfinity = 0x7f800000;
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = bits >> 16 & 0x8000;
  const std::uint32_t magnitude = bits & 0x7fffffff;
  // Rounds to even at bit 13; a carry runs into the exponent, and from 65520 up into infinity, as it must.
  const std::uint32_t normal = (magnitude - (112u << 23) + 0xfff + (magnitude >> 13 & 1)) >> 13;
  // In [0.5, 1) the last mantissa bit weighs 2^-24, a half's smallest step: the addition rounds to it.
  const float shifted =
      std::bit_cast<float>(select_below(magnitude, kF32BitsOf2PowMinus14, magnitude, 0)) + 0.5f;
  const std::uint32_t subnormal = std::bit_cast<std::uint32_t>(shifted) - std::bit_cast<std::uint32_t>(0.5f);
  const std::uint32_t infinite_or_nan =
      select_below(kInfinity, magnitude, 0x7e00, 0x7c00);  // one NaN, as in ggml
  const std::uint32_t finite = select_below(magnitude, kF32BitsOf2PowMinus14, subnormal, normal);
  return static_cast<std::uint16_t>(sign | select_below(magnitude, kF32BitsOf65536, finite, infinite_or_nan));
}

void decode_row(DType type, const std::uint8_t* row, std::size_t n, float* out) noexcept {
  switch (type) {
    case DType::kF32:
      if (n != 0) std::memcpy(out, row, n * sizeof(float));
      return;
    case DType::kF16:
      return decode_16_bit<f16_to_f32>(row, n, out);
    case DType::kBF16:
      return decode_16_bit<bf16_to_f32>(row, n, out);
    case DType::kQ8_0:
      return for_each_block(type, row, n, out, decode_block_q8_0);
    case DType::kQ4_0:
      return for_each_block(type, row, n, out, decode_block_q4_0);
    case DType::kQ4_1:
      return for_each_block(type, row, n, out, decode_block_q4_1);
    case DType::kQ5_0:
      return for_each_block(type, row, n, out, decode_block_q5_0);
    case DType::kQ5_1:
      return for_each_block(type, row, n, out, decode_block_q5_1);
    case DType::kQ4_K:
      return for_each_block(type, row, n, out, decode_block_q4_k);
    case DType::kQ5_K:
      return for_each_block(type, row, n, out, decode_block_q5_k);
    case DType::kQ6_K:
      return for_each_block(type, row, n, out, decode_block_q6_k);
  }
}

void encode_row(DType type, const float* x, std::size_t n, std::uint8_t* row) noexcept {
  switch (type) {
    case DType::kF32:
      if (n != 0) std::memcpy(row, x, n * sizeof(float));
      return;
    case DType::kF16:
      return encode_16_bit<f32_to_f16>(x, n, row);
    case DType::kBF16:
      return encode_16_bit<f32_to_bf16>(x, n, row);
    case DType::kQ8_0:
      return for_each_block(type, row, n, x, encode_block_q8_0);
    case DType::kQ4_0:
      return for_each_block(type, row, n, x, encode_block_q4_0);
    default:
      return;  // can_encode is false: callers ask first
  }
}

}  // namespace elms::inline v0::detail
