// Puts GGUF files together byte by byte, right or wrong, without the writer under test.
#pragma once

#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <string_view>
#include <type_traits>
#include <vector>

namespace elms_test {

class GgufBytes {
 public:
  GgufBytes() = default;
  /// A header that promises this many tensors and values.
  GgufBytes(std::uint64_t n_tensors, std::uint64_t n_values, std::uint32_t version = 3) {
    raw("GGUF").number<std::uint32_t>(version).number(n_tensors).number(n_values);
  }

  template <typename T>
  GgufBytes& number(std::type_identity_t<T> value) {
    const T copy = value;
    return append(&copy, sizeof copy);
  }
  GgufBytes& number(std::uint64_t value) { return number<std::uint64_t>(value); }

  GgufBytes& raw(std::string_view text) { return append(text.data(), text.size()); }
  GgufBytes& text(std::string_view text) { return number<std::uint64_t>(text.size()).raw(text); }

  /// The begin of a metadata value: its payload follows.
  GgufBytes& key(std::string_view name, std::uint32_t type) { return text(name).number<std::uint32_t>(type); }
  GgufBytes& array(std::string_view name, std::uint32_t element_type, std::uint64_t count) {
    return key(name, 9).number<std::uint32_t>(element_type).number(count);
  }

  GgufBytes& tensor(std::string_view name, std::initializer_list<std::uint64_t> dims, std::uint32_t type,
                    std::uint64_t offset) {
    text(name).number<std::uint32_t>(static_cast<std::uint32_t>(dims.size()));
    for (const std::uint64_t dim : dims) number(dim);
    return number<std::uint32_t>(type).number(offset);
  }

  GgufBytes& align(std::size_t alignment = 32) {
    while (bytes_.size() % alignment != 0) bytes_.push_back(0);
    return *this;
  }
  GgufBytes& zeros(std::size_t n) {
    bytes_.resize(bytes_.size() + n);
    return *this;
  }

  const std::vector<std::uint8_t>& bytes() const { return bytes_; }

 private:
  GgufBytes& append(const void* data, std::size_t size) {
    const std::size_t at = bytes_.size();
    bytes_.resize(at + size);
    if (size != 0) std::memcpy(bytes_.data() + at, data, size);
    return *this;
  }

  std::vector<std::uint8_t> bytes_;
};

/// A file as models have them, in small: every value type, arrays nested and empty, tensors of several types.
inline GgufBytes small_model() {
  GgufBytes file(5, 18);
  file.key("general.architecture", 8).text("llama");
  file.key("general.alignment", 4).number<std::uint32_t>(64);
  file.key("v.uint8", 0).number<std::uint8_t>(200);
  file.key("v.int8", 1).number<std::int8_t>(-100);
  file.key("v.uint16", 2).number<std::uint16_t>(60000);
  file.key("v.int16", 3).number<std::int16_t>(-30000);
  file.key("v.uint32", 4).number<std::uint32_t>(4000000000u);
  file.key("v.int32", 5).number<std::int32_t>(-2000000000);
  file.key("v.float32", 6).number<float>(0.1f);
  file.key("v.true", 7).number<std::uint8_t>(1);
  file.key("v.uint64", 10).number<std::uint64_t>(1ull << 63);
  file.key("v.int64", 11).number<std::int64_t>(-(1ll << 62));
  file.key("v.float64", 12).number<double>(1e300);
  file.array("tokenizer.ggml.tokens", 8, 3).text("<s>").text("").text("\xe2\x96\x81hello");
  file.array("tokenizer.ggml.scores", 6, 3).number<float>(0).number<float>(-1.5f).number<float>(2);
  file.array("a.bools", 7, 2).number<std::uint8_t>(0).number<std::uint8_t>(1);
  file.array("a.empty", 5, 0);
  file.array("a.nested", 9, 2);
  file.number<std::uint32_t>(8).number(2).text("in").text("side");
  file.number<std::uint32_t>(9)
      .number(1)
      .number<std::uint32_t>(2)
      .number(2)
      .number<std::uint16_t>(7)
      .number<std::uint16_t>(9);
  file.tensor("token_embd.weight", {32, 3}, 1, 0);           // F16: 192 bytes
  file.tensor("blk.0.ffn_up.weight", {32, 2}, 8, 192);       // Q8_0: 68 bytes
  file.tensor("blk.0.ffn_down.weight", {64, 1, 2}, 2, 320);  // Q4_0: 72 bytes
  file.tensor("output_norm.weight", {5}, 0, 448);            // F32: 20 bytes
  file.tensor("blk.0.attn_q.weight", {256}, 14, 512);        // Q6_K: 210 bytes
  for (const std::size_t size_bytes : {192, 68, 72, 20, 210}) {
    file.align(64);
    for (std::size_t i = 0; i < size_bytes; ++i) file.number<std::uint8_t>(static_cast<std::uint8_t>(i * 37));
  }
  return file;
}

}  // namespace elms_test
