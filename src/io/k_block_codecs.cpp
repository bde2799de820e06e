// Super-blocks of 256 values. Q4_K and Q5_K: f16 scale of scales, f16 scale of minima, eight pairs of 6-bit
// (scale, minimum) in 12 bytes, one pair per 32 values; value = scale * q - minimum. Q6_K: sixteen int8
// scales, one per 16 values; value = scale * (q - 32).
#include "io/block_codecs.hpp"

namespace elms::inline v0::detail {

namespace {

constexpr int kSuperBlock = 256;
constexpr int kSubBlock = 32;  // of Q4_K and Q5_K

struct ScaleAndMinimum {
  float scale;
  float minimum;
};

/// Pair i of the 12 packed bytes. Bytes 0-3 and 4-7 hold scales and minima 0-3 in their low six bits; their
/// top two bits extend the nibbles of bytes 8-11, which hold scales (low) and minima (high) 4-7.
ScaleAndMinimum unpack_pair(const std::uint8_t* packed, int i, float d, float d_minimum) noexcept {
  int scale;
  int minimum;
  if (i < 4) {
    scale = packed[i] & 63;
    minimum = packed[i + 4] & 63;
  } else {
    scale = (packed[i + 4] & 15) | (packed[i - 4] >> 6) << 4;
    minimum = packed[i + 4] >> 4 | (packed[i] >> 6) << 4;
  }
  return {d * static_cast<float>(scale), d_minimum * static_cast<float>(minimum)};
}

}  // namespace

// Sub-blocks 2c and 2c + 1 are the low and the high nibbles of bytes [32c, 32c + 32).
void decode_block_q4_k(const std::uint8_t* block, float* out) noexcept {
  const float d = load_f16(block);
  const float d_minimum = load_f16(block + 2);
  const std::uint8_t* nibbles = block + 16;
  for (int sub = 0; sub < kSuperBlock / kSubBlock; ++sub) {
    const ScaleAndMinimum pair = unpack_pair(block + 4, sub, d, d_minimum);
    const std::uint8_t* bytes = nibbles + sub / 2 * kSubBlock;
    const int shift = sub % 2 * 4;
    for (int j = 0; j < kSubBlock; ++j) {
      const int q = bytes[j] >> shift & 15;
      out[sub * kSubBlock + j] = pair.scale * static_cast<float>(q) - pair.minimum;
    }
  }
}

// As Q4_K; the fifth bit of value j of sub-block s is bit s of high_bits[j].
void decode_block_q5_k(const std::uint8_t* block, float* out) noexcept {
  const float d = load_f16(block);
  const float d_minimum = load_f16(block + 2);
  const std::uint8_t* high_bits = block + 16;
  const std::uint8_t* nibbles = block + 48;
  for (int sub = 0; sub < kSuperBlock / kSubBlock; ++sub) {
    const ScaleAndMinimum pair = unpack_pair(block + 4, sub, d, d_minimum);
    const std::uint8_t* bytes = nibbles + sub / 2 * kSubBlock;
    const int shift = sub % 2 * 4;
    for (int j = 0; j < kSubBlock; ++j) {
      const int q = (bytes[j] >> shift & 15) | (high_bits[j] >> sub & 1) << 4;
      out[sub * kSubBlock + j] = pair.scale * static_cast<float>(q) - pair.minimum;
    }
  }
}

// Each half of 128 values has 64 bytes of low nibbles and 32 bytes of bit pairs. Its quarter c (32 values)
// takes nibble c / 2 of low bytes [32 (c % 2), + 32) and bit pair c of the high bytes.
void decode_block_q6_k(const std::uint8_t* block, float* out) noexcept {
  const float d = load_f16(block + 208);
  for (int sixteenth = 0; sixteenth < 16; ++sixteenth) {
    const int half = sixteenth / 8;
    const int c = sixteenth % 8 / 2;
    const int first = sixteenth % 2 * 16;  // in the quarter
    const std::uint8_t* low = block + half * 64 + c % 2 * 32 + first;
    const std::uint8_t* high = block + 128 + half * 32 + first;
    const float scale = d * static_cast<float>(static_cast<std::int8_t>(block[192 + sixteenth]));
    for (int j = 0; j < 16; ++j) {
      const int q = (low[j] >> c / 2 * 4 & 15) | (high[j] >> 2 * c & 3) << 4;
      out[sixteenth * 16 + j] = scale * static_cast<float>(q - 32);
    }
  }
}

}  // namespace elms::inline v0::detail
