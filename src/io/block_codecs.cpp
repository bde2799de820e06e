// Q8_0: f16 scale, 32 int8. Q4_0, Q5_0: f16 scale, then (Q5) 32 high bits, then 16 bytes of which byte j
// holds values j (low nibble) and j + 16 (high nibble), stored with an offset of half the range. Q4_1, Q5_1:
// the same with an f16 minimum in place of the offset.
#include "io/block_codecs.hpp"

#include <cmath>

namespace elms::inline v0::detail {

namespace {

constexpr int kBlockValues = 32;
constexpr int kHalfBlock = kBlockValues / 2;

/// The integer part; 0 for what is far out of range. Only a block whose scale is subnormal or infinite gets
/// there, and ggml built for x86 then stores a 0 too.
int truncate(float x) noexcept {
  return static_cast<int>(std::fabs(x) < 1024.0f ? x : 0.0f);
}

/// Rounds halves away from zero, as roundf does, but without a call per value. The difference is exact.
int round_to_nearest(float x) noexcept {
  const int whole = truncate(x);
  const float rest = (std::fabs(x) < 1024.0f ? x : 0.0f) - static_cast<float>(whole);
  return whole + (rest >= 0.5f ? 1 : 0) - (rest <= -0.5f ? 1 : 0);
}

float inverse_or_zero(float d) noexcept {
  return d != 0.0f ? 1.0f / d : 0.0f;
}

/// The 5-bit integers of a block: nibbles with one more bit each from `high_bits`, in order.
void unpack_5_bit(const std::uint8_t* high_bits, const std::uint8_t* nibbles, int* q) noexcept {
  std::uint32_t high;
  std::memcpy(&high, high_bits, sizeof high);
  for (int j = 0; j < kHalfBlock; ++j) {
    q[j] = (nibbles[j] & 15) | static_cast<int>((high >> j & 1) << 4);
    q[j + kHalfBlock] = nibbles[j] >> 4 | static_cast<int>((high >> (j + kHalfBlock) & 1) << 4);
  }
}

}  // namespace

void decode_block_q8_0(const std::uint8_t* block, float* out) noexcept {
  const float d = load_f16(block);
  for (int j = 0; j < kBlockValues; ++j) out[j] = static_cast<float>(static_cast<std::int8_t>(block[2 + j])) * d;
}

void decode_block_q4_0(const std::uint8_t* block, float* out) noexcept {
  const float d = load_f16(block);
  for (int j = 0; j < kHalfBlock; ++j) {
    out[j] = static_cast<float>((block[2 + j] & 15) - 8) * d;
    out[j + kHalfBlock] = static_cast<float>((block[2 + j] >> 4) - 8) * d;
  }
}

void decode_block_q4_1(const std::uint8_t* block, float* out) noexcept {
  const float d = load_f16(block);
  const float minimum = load_f16(block + 2);
  for (int j = 0; j < kHalfBlock; ++j) {
    out[j] = static_cast<float>(block[4 + j] & 15) * d + minimum;
    out[j + kHalfBlock] = static_cast<float>(block[4 + j] >> 4) * d + minimum;
  }
}

void decode_block_q5_0(const std::uint8_t* block, float* out) noexcept {
  const float d = load_f16(block);
  int q[kBlockValues];
  unpack_5_bit(block + 2, block + 6, q);
  for (int j = 0; j < kBlockValues; ++j) out[j] = static_cast<float>(q[j] - 16) * d;
}

void decode_block_q5_1(const std::uint8_t* block, float* out) noexcept {
  const float d = load_f16(block);
  const float minimum = load_f16(block + 2);
  int q[kBlockValues];
  unpack_5_bit(block + 4, block + 8, q);
  for (int j = 0; j < kBlockValues; ++j) out[j] = static_cast<float>(q[j]) * d + minimum;
}

void encode_block_q8_0(std::uint8_t* block, const float* x) noexcept {
  float largest = 0.0f;
  for (int j = 0; j < kBlockValues; ++j) {
    const float magnitude = std::fabs(x[j]);
    largest = largest > magnitude ? largest : magnitude;
  }
  const float d = largest / 127.0f;
  const float inverse = inverse_or_zero(d);
  store_f16(block, d);
  for (int j = 0; j < kBlockValues; ++j) {
    block[2 + j] = static_cast<std::uint8_t>(round_to_nearest(x[j] * inverse));
  }
}

void encode_block_q4_0(std::uint8_t* block, const float* x) noexcept {
  float largest = 0.0f;
  float signed_largest =
      0.0f;  // maps to -8, the end of the range that reaches further; the first one of a tie
  for (int j = 0; j < kBlockValues; ++j) {
    const float magnitude = std::fabs(x[j]);
    if (largest < magnitude) {
      largest = magnitude;
      signed_largest = x[j];
    }
  }
  const float d = signed_largest / -8.0f;
  const float inverse = inverse_or_zero(d);
  store_f16(block, d);
  const auto quantize = [inverse](float value) {
    const int q = truncate(value * inverse + 8.5f);
    return static_cast<std::uint8_t>(q < 15 ? q : 15);
  };
  for (int j = 0; j < kHalfBlock; ++j) {
    block[2 + j] = static_cast<std::uint8_t>(quantize(x[j]) | quantize(x[j + kHalfBlock]) << 4);
  }
}

}  // namespace elms::inline v0::detail
