#include "elms/detail/dtype.hpp"

#include <bit>
#include <cmath>
#include <limits>

#include "support.hpp"

#if defined(__F16C__)
#include <immintrin.h>
#endif

using namespace elms;
using namespace elms::detail;

namespace {

std::uint32_t bits_of(float value) {
  return std::bit_cast<std::uint32_t>(value);
}

/// By the definition of a half, in double.
double half_by_definition(std::uint16_t half) {
  const int exponent = half >> 10 & 31;
  const int mantissa = half & 1023;
  const double sign = half & 0x8000 ? -1.0 : 1.0;
  if (exponent == 31) return mantissa != 0 ? std::numeric_limits<double>::quiet_NaN() : sign * HUGE_VAL;
  if (exponent == 0) return sign * std::ldexp(mantissa, -24);
  return sign * std::ldexp(1024 + mantissa, exponent - 25);
}

/// Rounds to the grid of halves in double: the grid's step at |value| is a power of two, and nearbyint breaks
/// ties to even.
std::uint16_t nearest_half(double value) {
  const std::uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  const double magnitude = std::fabs(value);
  if (magnitude >= 65520) return sign | 0x7c00;
  int exponent = magnitude == 0 ? -14 : std::max(std::ilogb(magnitude), -14);
  double steps = std::nearbyint(std::ldexp(magnitude, 10 - exponent));  // [1024, 2048] for normal halves
  if (steps == 2048) {
    ++exponent;
    steps = 1024;
  }
  const int biased = steps < 1024 ? 0 : exponent + 15;
  return static_cast<std::uint16_t>(sign | biased << 10 | (static_cast<int>(steps) & 1023));
}

}  // namespace

TEST_CASE("dtype knows the layout of every type it reads", "[io][dtype]") {
  struct Expected {
    DType type;
    std::uint32_t number;
    const char* name;
    std::uint32_t elems, bytes;
    bool can_encode;
  };
  const Expected all[] = {
      {DType::kF32, 0, "F32", 1, 4, true},         {DType::kF16, 1, "F16", 1, 2, true},
      {DType::kQ4_0, 2, "Q4_0", 32, 18, true},     {DType::kQ4_1, 3, "Q4_1", 32, 20, false},
      {DType::kQ5_0, 6, "Q5_0", 32, 22, false},    {DType::kQ5_1, 7, "Q5_1", 32, 24, false},
      {DType::kQ8_0, 8, "Q8_0", 32, 34, true},     {DType::kQ4_K, 12, "Q4_K", 256, 144, false},
      {DType::kQ5_K, 13, "Q5_K", 256, 176, false}, {DType::kQ6_K, 14, "Q6_K", 256, 210, false},
      {DType::kBF16, 30, "BF16", 1, 2, true},
  };
  std::size_t known = 0;
  for (std::uint32_t number = 0; number < 100; ++number) known += find_dtype(number) != nullptr;
  REQUIRE(known == std::size(all));
  for (const Expected& expected : all) {
    CAPTURE(expected.name);
    const DTypeInfo* info = find_dtype(expected.number);
    REQUIRE(info != nullptr);
    REQUIRE(info == &dtype_info(expected.type));
    REQUIRE(info->type == expected.type);
    REQUIRE(info->name == expected.name);
    REQUIRE(info->block_elems == expected.elems);
    REQUIRE(info->block_bytes == expected.bytes);
    REQUIRE(info->can_encode == expected.can_encode);
    REQUIRE(row_bytes(expected.type, 0) == 0);
    REQUIRE(row_bytes(expected.type, 512) == 512 / expected.elems * expected.bytes);
    REQUIRE(parse_dtype(expected.name) == expected.type);
  }
}

TEST_CASE("dtype names are read in any case and nothing else is", "[io][dtype]") {
  REQUIRE(parse_dtype("q4_k") == DType::kQ4_K);
  REQUIRE(parse_dtype("bf16") == DType::kBF16);
  REQUIRE(parse_dtype("Q8_0") == DType::kQ8_0);
  for (const char* unknown : {"", "q8", "q8_00", " f16", "q8-0", "iq4_xs"}) {
    CAPTURE(unknown);
    REQUIRE_FALSE(parse_dtype(unknown).has_value());
  }
}

TEST_CASE("f16_to_f32 is right for all 65536 halves", "[io][dtype]") {
  for (std::uint32_t i = 0; i < 65536; ++i) {
    const auto half = static_cast<std::uint16_t>(i);
    const double expected = half_by_definition(half);
    const float found = f16_to_f32(half);
    CAPTURE(i);
    if (std::isnan(expected)) {  // quiet, sign and payload kept, as hardware does it
      REQUIRE(bits_of(found) == ((i & 0x8000u) << 16 | 0x7fc00000u | (i & 0x3ffu) << 13));
    } else {
      REQUIRE(bits_of(found) == bits_of(static_cast<float>(expected)));
      REQUIRE(f32_to_f16(found) == half);
    }
  }
}

TEST_CASE("f32_to_f16 rounds to nearest even around every half", "[io][dtype]") {
  for (std::uint32_t i = 0; i < 0x7c00; ++i) {
    const float here = f16_to_f32(static_cast<std::uint16_t>(i));
    const float next = i == 0x7bff ? 65536.0f : f16_to_f32(static_cast<std::uint16_t>(i + 1));
    const float middle = here + (next - here) / 2;  // exact
    const std::uint16_t even = i % 2 == 0 ? static_cast<std::uint16_t>(i) : static_cast<std::uint16_t>(i + 1);
    CAPTURE(i);
    REQUIRE(f32_to_f16(middle) == even);
    REQUIRE(f32_to_f16(-middle) == (even | 0x8000));
    REQUIRE(f32_to_f16(std::nextafterf(middle, here)) == i);
    REQUIRE(f32_to_f16(std::nextafterf(middle, next)) == i + 1);
  }
}

TEST_CASE("f32_to_f16 agrees with rounding in double", "[io][dtype]") {
  std::mt19937 rng = elms_test::make_rng(1);
  for (std::uint32_t exponent = 0; exponent < 255; ++exponent) {
    for (int i = 0; i < 2000; ++i) {
      const float value =
          std::bit_cast<float>(static_cast<std::uint32_t>(rng() & 0x807fffffu) | exponent << 23);
      const std::uint16_t found = f32_to_f16(value);
      if (found != nearest_half(value)) {
        CAPTURE(value, found);
        REQUIRE(found == nearest_half(value));
      }
#if defined(__F16C__)
      if (found != _cvtss_sh(value, 0)) {
        CAPTURE(value);
        REQUIRE(found == _cvtss_sh(value, 0));
      }
#endif
    }
  }
  REQUIRE(f32_to_f16(HUGE_VALF) == 0x7c00);
  REQUIRE(f32_to_f16(-HUGE_VALF) == 0xfc00);
  REQUIRE(f32_to_f16(std::bit_cast<float>(0x7f800001u)) == 0x7e00);
  REQUIRE(f32_to_f16(std::bit_cast<float>(0xffc12345u)) == 0xfe00);
}
