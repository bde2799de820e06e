// Reading and writing GGUF v2 and v3 (spec: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "elms/detail/buffer.hpp"
#include "elms/detail/dtype.hpp"
#include "elms/detail/file_mapping.hpp"
#include "elms/status.hpp"

namespace elms::inline v0::detail {

enum class GgufType : std::uint32_t {
  kUint8 = 0, kInt8 = 1, kUint16 = 2, kInt16 = 3, kUint32 = 4, kInt32 = 5, kFloat32 = 6, kBool = 7,
  kString = 8, kArray = 9, kUint64 = 10, kInt64 = 11, kFloat64 = 12,
};

/// A metadata value as it lies in the file: nothing is copied. Nested arrays are kept as raw bytes and can be copied
/// to another file, not read.
struct GgufValue {
  std::string_view key;
  GgufType type = GgufType::kUint8;          ///< kArray for arrays
  GgufType element_type = GgufType::kUint8;  ///< of an array; otherwise equal to type
  std::uint64_t count = 1;                   ///< elements of an array; 1 for a scalar
  std::span<const std::uint8_t> bytes;       ///< the payload: the scalar, or the array's elements; strings with lengths
};

/// Where a tensor lies. Dimensions are in GGUF order: dims[0] is the row length (contiguous), dims[1] the number of rows.
struct GgufTensor {
  std::string_view name;
  DType type = DType::kF32;
  std::uint32_t n_dims = 1;
  std::uint64_t dims[4] = {1, 1, 1, 1};
  std::span<const std::uint8_t> data;  ///< inside the mapping, size checked

  [[nodiscard]] std::uint64_t cols() const noexcept { return dims[0]; }
  [[nodiscard]] std::uint64_t rows() const noexcept { return dims[1] * dims[2] * dims[3]; }
};

/// A parsed GGUF file. Immutable, movable; any thread may read it. Every offset and count was checked against the size
/// of the file before memory was taken, so the views are safe for the life of this object. Open costs O(header): big
/// arrays (vocabularies) stay in the mapping until they are asked for.
class GgufFile {
 public:
  /// kNotFound, kIoError, kMalformedFile (says file, offset, expected, found), kUnsupported (version, tensor type,
  /// big-endian file).
  [[nodiscard]] static Result<GgufFile> open(const std::string& path);

  /// The same over memory that outlives the object; `name` stands for the file in messages.
  [[nodiscard]] static Result<GgufFile> parse(std::span<const std::uint8_t> bytes, std::string name);

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] std::uint32_t version() const noexcept { return version_; }
  [[nodiscard]] std::uint32_t alignment() const noexcept { return alignment_; }
  [[nodiscard]] std::uint64_t file_bytes() const noexcept { return bytes_.size(); }

  [[nodiscard]] std::span<const GgufValue> values() const noexcept { return values_; }
  [[nodiscard]] std::span<const GgufTensor> tensors() const noexcept { return tensors_; }
  [[nodiscard]] const GgufValue* find(std::string_view key) const noexcept;  ///< null when absent
  [[nodiscard]] const GgufTensor* find_tensor(std::string_view name) const noexcept;

  // Typed access. A missing key is kNotFound, a value of another type or out of range is kMalformedFile; both name file
  // and key. Integers of any width are accepted where they fit; the plural forms take a scalar as one element.
  [[nodiscard]] Result<std::int64_t> integer(std::string_view key) const;
  [[nodiscard]] Result<double> real(std::string_view key) const;
  [[nodiscard]] Result<bool> boolean(std::string_view key) const;
  [[nodiscard]] Result<std::string_view> string(std::string_view key) const;
  [[nodiscard]] Result<std::vector<std::int64_t>> integers(std::string_view key) const;
  [[nodiscard]] Result<std::vector<float>> reals(std::string_view key) const;
  [[nodiscard]] Result<std::vector<std::string_view>> strings(std::string_view key) const;

  /// Where in the file a view that came from this object begins, for messages.
  [[nodiscard]] std::uint64_t offset_of(const void* in_file) const noexcept {
    return static_cast<std::uint64_t>(static_cast<const std::uint8_t*>(in_file) - bytes_.data());
  }

  /// Everything before the data of the first tensor: header, metadata and tensor table.
  [[nodiscard]] std::span<const std::uint8_t> header_bytes() const noexcept {
    std::uint64_t end = bytes_.size();
    for (const GgufTensor& tensor : tensors()) end = std::min(end, offset_of(tensor.data.data()));
    return bytes_.first(static_cast<std::size_t>(end));
  }
  /// See FileMapping::modified_ns; 0 for parse()d memory.
  [[nodiscard]] std::int64_t modified_ns() const noexcept { return mapping_.has_value() ? mapping_->modified_ns() : 0; }

  /// See FileMapping::release; nothing for parse()d memory.
  void release(std::span<const std::uint8_t> part) const noexcept;

 private:
  GgufFile() = default;
  friend class GgufParser;

  std::optional<FileMapping> mapping_;
  std::span<const std::uint8_t> bytes_;
  std::string name_;
  std::uint32_t version_ = 3;
  std::uint32_t alignment_ = 32;
  Buffer<GgufValue> values_;
  Buffer<GgufTensor> tensors_;
  Buffer<std::uint32_t> values_by_key_;    ///< indices into values_, sorted by key
  Buffer<std::uint32_t> tensors_by_name_;  ///< indices into tensors_, sorted by name
};

/// Writes a GGUF v3 file in two steps: describe everything, then stream the tensors in the order they were added. The
/// file is written beside its final name and renamed at finish(), so a failed or cancelled run loses nothing.
/// After an error every later call returns that error again, so one check at the end is enough. Not thread-safe.
class GgufWriter {
 public:
  GgufWriter();
  GgufWriter(GgufWriter&&) noexcept;
  GgufWriter& operator=(GgufWriter&&) noexcept;
  ~GgufWriter();  ///< removes the unfinished file

  // Metadata. Setting a key again replaces its value in place.
  void set(std::string_view key, bool value);
  void set(std::string_view key, std::uint32_t value);
  void set(std::string_view key, std::int32_t value);
  void set(std::string_view key, std::uint64_t value);
  void set(std::string_view key, float value);
  void set(std::string_view key, std::string_view value);
  void set(std::string_view key, const char* value) { set(key, std::string_view(value)); }
  void set(std::string_view key, std::span<const std::uint32_t> values);
  void set(std::string_view key, std::span<const std::int32_t> values);
  void set(std::string_view key, std::span<const float> values);
  void set(std::string_view key, std::span<const std::string_view> values);
  void set(const GgufValue& value);  ///< copies a value of any type from another file
  void erase(std::string_view key);

  /// Declares the next tensor; dims in GGUF order. kInvalidArgument for a duplicate name or a row that is no whole
  /// number of blocks.
  Status add_tensor(std::string_view name, DType type, std::span<const std::uint64_t> dims);

  /// Writes header and tensor table. No set() or add_tensor() afterwards.
  Status begin(const std::string& path);
  /// Appends bytes of the current tensor; a tensor may come in any number of pieces.
  Status write(std::span<const std::uint8_t> bytes);
  /// Checks that every tensor is complete, flushes and renames.
  Status finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace elms::inline v0::detail
