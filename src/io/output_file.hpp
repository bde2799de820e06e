// A file that appears under its name only when it is complete.
#pragma once

#include <cstdint>
#include <cstdio>
#include <span>
#include <string>

#include "elms/status.hpp"

namespace elms::inline v0::detail {

/// Writes beside the target and renames at commit(): whoever reads the target sees the old file or the whole
/// new one. The destructor removes what was not committed. Not thread-safe.
class OutputFile {
 public:
  OutputFile() noexcept = default;
  OutputFile(OutputFile&& other) noexcept;
  OutputFile& operator=(OutputFile&& other) noexcept;
  ~OutputFile();

  /// kInvalidArgument when the target exists and is no regular file (a directory, a device); kIoError when
  /// nothing can be created beside it.
  [[nodiscard]] static Result<OutputFile> create(const std::string& target);

  /// kIoError, for example when the disk is full.
  Status write(std::span<const std::uint8_t> bytes);

  /// Brings everything to the disk and gives the file its name.
  Status commit();

 private:
  void discard() noexcept;

  std::FILE* stream_ = nullptr;
  std::string target_;
  std::string partial_;
};

}  // namespace elms::inline v0::detail
