// Writes safetensors files as the format's page describes them, for tests.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "elms/detail/error.hpp"

namespace elms_test {

struct HfTensor {
  std::string name;
  std::string dtype;  ///< as the format spells it: "F32", "BF16" ...
  std::vector<std::uint64_t> shape;
  std::vector<std::uint8_t> bytes;
};

inline std::string json_list(const std::vector<std::uint64_t>& numbers) {
  std::string text = "[";
  for (const std::uint64_t number : numbers) text += elms::detail::concat(text.size() > 1 ? "," : "", number);
  return text + "]";
}

/// The header for tensors that lie one after the other.
inline std::string safetensors_header(const std::vector<HfTensor>& tensors) {
  std::string header = R"({"__metadata__":{"format":"pt"})";
  std::uint64_t offset = 0;
  for (const HfTensor& tensor : tensors) {
    const std::uint64_t end = offset + tensor.bytes.size();
    header += elms::detail::concat(",\"", tensor.name, "\":{\"dtype\":\"", tensor.dtype,
                                   "\",\"shape\":", json_list(tensor.shape),
                                   ",\"data_offsets\":", json_list({offset, end}), "}");
    offset = end;
  }
  return header + "}";
}

/// Length, header, data: whatever the header says.
inline std::vector<std::uint8_t> safetensors_file(const std::string& header,
                                                  const std::vector<std::uint8_t>& data) {
  std::vector<std::uint8_t> file;
  for (int i = 0; i < 8; ++i)
    file.push_back(static_cast<std::uint8_t>(std::uint64_t{header.size()} >> (8 * i)));
  file.insert(file.end(), header.begin(), header.end());
  file.insert(file.end(), data.begin(), data.end());
  return file;
}

inline std::vector<std::uint8_t> safetensors_file(const std::vector<HfTensor>& tensors) {
  std::vector<std::uint8_t> data;
  for (const HfTensor& tensor : tensors) data.insert(data.end(), tensor.bytes.begin(), tensor.bytes.end());
  return safetensors_file(safetensors_header(tensors), data);
}

}  // namespace elms_test
