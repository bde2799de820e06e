// A file seen as memory, read-only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "elms/status.hpp"

namespace elms::inline v0::detail {

/// A whole file mapped read-only. Pages are read on first touch. Immutable; any thread may read it. The file must not be
/// truncated by others while it is mapped.
class FileMapping {
 public:
  /// Maps `path`. kNotFound, kIoError, or kInvalidArgument for something that is no regular file. An empty file maps
  /// to an empty span.
  [[nodiscard]] static Result<FileMapping> open(const std::string& path);

  FileMapping(FileMapping&& other) noexcept;
  FileMapping& operator=(FileMapping&& other) noexcept;
  ~FileMapping();

  [[nodiscard]] std::span<const std::uint8_t> bytes() const noexcept { return {data_, size_}; }
  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  /// When the file had last been changed, in nanoseconds of the system's own epoch: equal or not is all that it says.
  [[nodiscard]] std::int64_t modified_ns() const noexcept { return modified_ns_; }

  /// Hints that [offset, offset + size) is not needed again soon: whole pages inside leave resident memory, and come
  /// back from the file when touched.
  void release(std::size_t offset, std::size_t size_bytes) const noexcept;

 private:
  FileMapping() noexcept = default;

  const std::uint8_t* data_ = nullptr;
  std::size_t size_ = 0;
  std::int64_t modified_ns_ = 0;
  std::string path_;
};

}  // namespace elms::inline v0::detail
