// Reading safetensors files (spec: https://github.com/huggingface/safetensors#format).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "elms/detail/file_mapping.hpp"
#include "elms/status.hpp"
#include "io/tensor_table.hpp"

namespace elms::inline v0::detail {

/// A parsed safetensors file: eight bytes with the length of a JSON header, the header, the data. Immutable,
/// movable. Every tensor's bytes were checked to lie in the file and to match its shape, and together they
/// cover the data without a gap or an overlap, as the format demands.
class SafetensorsFile {
 public:
  /// kNotFound, kIoError, kMalformedFile (says file and tensor or offset).
  [[nodiscard]] static Result<SafetensorsFile> open(const std::string& path);
  /// The same over memory that outlives the object; `name` stands for the file in messages.
  [[nodiscard]] static Result<SafetensorsFile> parse(std::span<const std::uint8_t> bytes, std::string name);

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] std::span<const StoredTensor> tensors() const noexcept {
    return tensors_;
  }  ///< in order of their data
  [[nodiscard]] std::uint64_t file_bytes() const noexcept { return bytes_.size(); }

  /// See FileMapping::release; nothing for a part that is not of this file.
  void release(std::span<const std::uint8_t> part) const noexcept;

  /// What the header says of one tensor. Offsets count from the end of the header.
  struct Entry {
    std::string name;
    std::string type;
    std::vector<std::uint64_t> shape;
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
  };

 private:
  SafetensorsFile() = default;

  std::optional<FileMapping> mapping_;
  std::span<const std::uint8_t> bytes_;
  std::string name_;
  std::vector<Entry> entries_;  ///< owns the names that tensors_ views
  std::vector<StoredTensor> tensors_;
};

}  // namespace elms::inline v0::detail
