// Uses everything that a parsed GGUF file offers, for the fuzzer and for the hostile files of tests/io.
#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

#include "elms/detail/dtype.hpp"
#include "elms/detail/gguf.hpp"

namespace elms_test {

/// Reads every byte of a view, so that a sanitizer sees one that leaves the file.
inline std::uint64_t sum_bytes(const void* data, std::size_t size) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < size; ++i) sum += static_cast<const std::uint8_t*>(data)[i];
  return sum;
}

/// The value through every typed getter, the wrong ones too. True when exactly those that fit its type may
/// succeed.
inline bool touch_value(const elms::detail::GgufFile& file, const elms::detail::GgufValue& value,
                        std::uint64_t& sum) {
  using elms::detail::GgufType;
  sum += sum_bytes(value.key.data(), value.key.size()) + sum_bytes(value.bytes.data(), value.bytes.size());
  if (file.find(value.key) != &value) return false;

  const bool is_float = value.type == GgufType::kFloat32 || value.type == GgufType::kFloat64;
  const bool is_other =
      value.type == GgufType::kString || value.type == GgufType::kArray || value.type == GgufType::kBool;
  bool good = true;
  if (const auto integer = file.integer(value.key)) {
    good &= !is_float && !is_other;
  }
  if (file.real(value.key).has_value() != is_float) good = false;
  if (file.boolean(value.key).has_value() != (value.type == GgufType::kBool)) good = false;
  if (const auto text = file.string(value.key)) {
    good &= value.type == GgufType::kString;
    sum += sum_bytes(text->data(), text->size());
  }
  if (const auto integers = file.integers(value.key)) {
    good &= integers->size() == value.count;
    for (const std::int64_t integer : *integers) sum += static_cast<std::uint64_t>(integer);
  }
  if (const auto reals = file.reals(value.key)) good &= reals->size() == value.count;
  if (const auto strings = file.strings(value.key)) {
    good &= strings->size() == value.count;
    for (const std::string_view text : *strings) sum += sum_bytes(text.data(), text.size());
  }
  return good;
}

/// Decodes every row.
inline bool touch_tensor(const elms::detail::GgufFile& file, const elms::detail::GgufTensor& tensor,
                         std::uint64_t& sum) {
  if (file.find_tensor(tensor.name) != &tensor) return false;
  const auto cols = static_cast<std::size_t>(tensor.cols());
  const std::size_t stride = elms::detail::row_bytes(tensor.type, cols);
  if (tensor.data.size() != stride * tensor.rows()) return false;
  std::vector<float> row(cols);
  for (std::uint64_t r = 0; r < tensor.rows(); ++r) {
    elms::detail::decode_row(tensor.type, tensor.data.data() + r * stride, cols, row.data());
    sum += sum_bytes(row.data(), cols * sizeof(float));
  }
  return true;
}

/// False when the object contradicts itself.
inline bool touch_everything(const elms::detail::GgufFile& file) {
  std::uint64_t sum = 0;
  bool good = true;
  for (const elms::detail::GgufValue& value : file.values()) good &= touch_value(file, value, sum);
  for (const elms::detail::GgufTensor& tensor : file.tensors()) good &= touch_tensor(file, tensor, sum);
  [[maybe_unused]] static volatile std::uint64_t sink;
  sink = sum;  // keeps the reads
  return good;
}

}  // namespace elms_test
