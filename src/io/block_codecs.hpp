// One block of each quantised GGUF type, to and from f32. Scales are f16, everything is little-endian and
// packed, and a block may lie at any address. Decoders fill block_elems values; encoders read as many.
//
// These formulas are bit-identical to ggml's references only when no multiplication is fused with an
// addition, so the files that define them are compiled with floating-point contraction off.
#pragma once

#include <cstdint>
#include <cstring>

#include "elms/detail/dtype.hpp"

namespace elms::inline v0::detail {

// Blocks of 32 (block_codecs.cpp).
void decode_block_q8_0(const std::uint8_t* block, float* out) noexcept;
void decode_block_q4_0(const std::uint8_t* block, float* out) noexcept;
void decode_block_q4_1(const std::uint8_t* block, float* out) noexcept;
void decode_block_q5_0(const std::uint8_t* block, float* out) noexcept;
void decode_block_q5_1(const std::uint8_t* block, float* out) noexcept;
void encode_block_q8_0(std::uint8_t* block, const float* x) noexcept;
void encode_block_q4_0(std::uint8_t* block, const float* x) noexcept;

// Blocks of 256 with a second level of scales (k_block_codecs.cpp).
void decode_block_q4_k(const std::uint8_t* block, float* out) noexcept;
void decode_block_q5_k(const std::uint8_t* block, float* out) noexcept;
void decode_block_q6_k(const std::uint8_t* block, float* out) noexcept;

inline float load_f16(const std::uint8_t* at) noexcept {
  std::uint16_t half;
  std::memcpy(&half, at, sizeof half);
  return f16_to_f32(half);
}

inline void store_f16(std::uint8_t* at, float value) noexcept {
  const std::uint16_t half = f32_to_f16(value);
  std::memcpy(at, &half, sizeof half);
}

}  // namespace elms::inline v0::detail
