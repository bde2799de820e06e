// Encoders and decoders against what ggml's reference functions gave (data/make_dtype_vectors.py), bit for
// bit.
#include <bit>
#include <cmath>
#include <cstring>

#include "elms/detail/dtype.hpp"
#include "elms/detail/gguf.hpp"
#include "support.hpp"

using namespace elms;
using namespace elms::detail;

namespace {

constexpr std::size_t kStreamValues = 1 << 18;

std::uint64_t splitmix64(std::uint64_t seed, std::uint64_t i) {
  std::uint64_t z = seed + i * 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

std::vector<std::uint8_t> random_bytes(std::uint64_t seed, std::size_t n) {
  std::vector<std::uint8_t> out(n);
  for (std::size_t i = 0; i < n; i += 8) {
    const std::uint64_t r = splitmix64(seed, i / 8 + 1);
    std::memcpy(out.data() + i, &r, std::min<std::size_t>(8, n - i));
  }
  return out;
}

/// Values with a common power of two per block of 32.
std::vector<float> random_floats(std::uint64_t seed, std::size_t n) {
  std::vector<float> out(n);
  int exponent = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const std::uint64_t r = splitmix64(seed, i + 1);
    if (i % 32 == 0) exponent = static_cast<int>(r >> 16 & 31) - 30;
    out[i] = std::ldexp(static_cast<float>(static_cast<int>(r & 0xffff) - 32768), exponent - 15);
  }
  return out;
}

class Digest {
 public:
  void add(std::uint32_t bits) { sum_ += (bits + std::uint64_t{1}) * splitmix64(0, ++n_); }
  void add(float value) { add(std::isnan(value) ? 0x7fc00000u : std::bit_cast<std::uint32_t>(value)); }
  std::uint64_t value() const { return sum_; }

 private:
  std::uint64_t sum_ = 0;
  std::uint64_t n_ = 0;
};

/// The stored digest; written as an uint64, which integer() does not take above 2^63.
std::uint64_t stored_digest(const GgufFile& file, const std::string& key) {
  const GgufValue* value = file.find(key);
  REQUIRE(value != nullptr);
  REQUIRE(value->type == GgufType::kUint64);
  std::uint64_t digest;
  std::memcpy(&digest, value->bytes.data(), sizeof digest);
  return digest;
}

GgufFile open_vectors() {
  Result<GgufFile> file = GgufFile::open(std::string(ELMS_TEST_DATA_DIR) + "/dtype_vectors.gguf");
  REQUIRE_OK(file);
  return *std::move(file);
}

const GgufTensor& tensor(const GgufFile& file, const std::string& name) {
  const GgufTensor* found = file.find_tensor(name);
  CAPTURE(name);
  REQUIRE(found != nullptr);
  return *found;
}

std::vector<float> floats(const GgufTensor& tensor) {
  REQUIRE(tensor.type == DType::kF32);
  std::vector<float> out(tensor.cols());
  std::memcpy(out.data(), tensor.data.data(), tensor.data.size());
  return out;
}

/// `n` bytes at an address that suits no type.
struct Misaligned {
  explicit Misaligned(std::size_t n) : storage(n + 1) {}
  std::uint8_t* data() { return storage.data() + 1; }
  std::vector<std::uint8_t> storage;
};

constexpr DType kBlockTypes[] = {DType::kQ8_0, DType::kQ4_0, DType::kQ4_1, DType::kQ5_0,
                                 DType::kQ5_1, DType::kQ4_K, DType::kQ5_K, DType::kQ6_K};

}  // namespace

TEST_CASE("decode_row equals ggml on chosen blocks", "[io][dtype]") {
  const GgufFile file = open_vectors();
  for (const DType type : kBlockTypes) {
    const std::string name(dtype_info(type).name);
    CAPTURE(name);
    const GgufTensor& in = tensor(file, "decode." + name + ".in");
    const std::vector<float> expected = floats(tensor(file, "decode." + name + ".out"));
    REQUIRE(in.type == type);
    REQUIRE(in.cols() == expected.size());
    Misaligned row(in.data.size());
    std::memcpy(row.data(), in.data.data(), in.data.size());
    std::vector<float> found(expected.size());
    decode_row(type, row.data(), found.size(), found.data());
    for (std::size_t i = 0; i < found.size(); ++i) {
      CAPTURE(i, found[i], expected[i]);
      const bool same = std::isnan(expected[i]) ? std::isnan(found[i])
                                                : std::bit_cast<std::uint32_t>(found[i]) ==
                                                      std::bit_cast<std::uint32_t>(expected[i]);
      REQUIRE(same);
    }
  }
}

TEST_CASE("decode_row equals ggml on a long random stream", "[io][dtype]") {
  const GgufFile file = open_vectors();
  std::uint64_t seed = 200;
  for (const DType type : kBlockTypes) {
    const std::string name(dtype_info(type).name);
    CAPTURE(name);
    const std::vector<std::uint8_t> row = random_bytes(seed++, row_bytes(type, kStreamValues));
    std::vector<float> out(kStreamValues);
    decode_row(type, row.data(), out.size(), out.data());
    Digest digest;
    for (const float value : out) digest.add(value);
    REQUIRE(digest.value() == stored_digest(file, "decode." + name + ".digest"));
  }
}

TEST_CASE("decode_row equals ggml on all halves and bfloats", "[io][dtype]") {
  const GgufFile file = open_vectors();
  std::vector<std::uint16_t> all(65536);
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::uint16_t>(i);
  for (const DType type : {DType::kF16, DType::kBF16}) {
    const std::string name(dtype_info(type).name);
    CAPTURE(name);
    std::vector<float> out(all.size());
    decode_row(type, reinterpret_cast<const std::uint8_t*>(all.data()), out.size(), out.data());
    Digest digest;
    for (const float value : out) digest.add(value);
    REQUIRE(digest.value() == stored_digest(file, "decode." + name + ".digest"));
  }
}

TEST_CASE("encode_row equals ggml on awkward rows", "[io][dtype]") {
  const GgufFile file = open_vectors();
  const std::vector<float> x = floats(tensor(file, "encode.in"));
  for (const DType type : {DType::kQ8_0, DType::kQ4_0, DType::kF16, DType::kBF16}) {
    const std::string name(dtype_info(type).name);
    CAPTURE(name);
    const GgufTensor& expected = tensor(file, "encode." + name + ".out");
    REQUIRE(expected.type == type);
    Misaligned row(row_bytes(type, x.size()));
    encode_row(type, x.data(), x.size(), row.data());
    for (std::size_t i = 0; i < expected.data.size(); ++i) {
      CAPTURE(i / dtype_info(type).block_bytes, i % dtype_info(type).block_bytes);
      REQUIRE(int{row.data()[i]} == int{expected.data[i]});
    }
  }
}

TEST_CASE("encode_row equals ggml on a long random stream", "[io][dtype]") {
  const GgufFile file = open_vectors();
  const std::vector<float> x = random_floats(300, kStreamValues);
  for (const DType type : {DType::kQ8_0, DType::kQ4_0}) {
    const std::string name(dtype_info(type).name);
    CAPTURE(name);
    std::vector<std::uint8_t> row(row_bytes(type, x.size()));
    encode_row(type, x.data(), x.size(), row.data());
    Digest digest;
    for (const std::uint8_t byte : row) digest.add(std::uint32_t{byte});
    REQUIRE(digest.value() == stored_digest(file, "encode." + name + ".digest"));
  }
  const std::vector<std::uint8_t> bytes = random_bytes(400, 4 * kStreamValues);
  std::vector<float> bits(kStreamValues);
  std::memcpy(bits.data(), bytes.data(), bytes.size());
  for (const DType type : {DType::kF16, DType::kBF16}) {
    const std::string name(dtype_info(type).name);
    CAPTURE(name);
    std::vector<std::uint16_t> row(bits.size());
    encode_row(type, bits.data(), bits.size(), reinterpret_cast<std::uint8_t*>(row.data()));
    Digest digest;
    for (const std::uint16_t half : row) digest.add(std::uint32_t{half});
    REQUIRE(digest.value() == stored_digest(file, "encode." + name + ".digest"));
  }
}

TEST_CASE("encode_row and decode_row copy F32 and touch nothing of an empty row", "[io][dtype]") {
  const std::vector<float> x = {1.5f, -0.0f, std::nanf("")};
  Misaligned row(3 * sizeof(float));
  encode_row(DType::kF32, x.data(), x.size(), row.data());
  std::vector<float> out(3);
  decode_row(DType::kF32, row.data(), 3, out.data());
  REQUIRE(std::memcmp(out.data(), x.data(), 3 * sizeof(float)) == 0);
  for (const DType type : {DType::kF32, DType::kF16, DType::kQ8_0, DType::kQ6_K}) {
    decode_row(type, nullptr, 0, nullptr);
    encode_row(type, nullptr, 0, nullptr);
  }
}
