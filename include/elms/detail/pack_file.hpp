// The pack cache as a file: named sections that are mapped and used in place, tagged with what they were made from.
//
//   header    64 bytes   "ELMSPACK", u32 version, u32 entries, u64 file bytes, u64 index bytes, u64 size, i64 time of last
//                        change and u64 fingerprint of the checkpoint, u64 checksum of the index
//   tag                  u32 length and text: the kernels whose layout the panels have
//   entries              u32 length and text: name of the tensor; u64 layout, u64 offset, u64 size
//   vectors              f32, each at a multiple of 64 bytes; the index, which the checksum covers, ends here
//   sections             panels, each at a multiple of a page
//
// All little-endian. Opening reads the index only; sections are touched when they are used. What the panels hold is
// therefore not checked: a checksum would have to read them.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "elms/detail/file_mapping.hpp"
#include "elms/status.hpp"

namespace elms::inline v0::detail {

/// What a pack cache was made from. A cache is fresh where all of it is as it was.
struct PackOrigin {
  std::uint64_t file_bytes = 0;    ///< of the checkpoint
  std::int64_t modified_ns = 0;    ///< FileMapping::modified_ns of the checkpoint
  std::uint64_t fingerprint = 0;   ///< of the checkpoint's header: shapes, types, levels, vocabulary
  std::string tag;                 ///< ISA and kernels
};

struct PackEntry {
  std::string_view name;
  std::uint64_t layout = 0;             ///< fingerprint of how the values lie
  std::span<const std::uint8_t> bytes;  ///< in the mapping, 64-byte aligned
};

/// An opened pack cache. Immutable; any thread may read it.
class PackFile {
 public:
  /// kNotFound; kMalformedFile (says what, expected, found) where any offset, length or checksum is wrong; kUnsupported
  /// for another version; kInvalidArgument where it is stale: made from another checkpoint or for other kernels.
  [[nodiscard]] static Result<PackFile> open(const std::string& path, const PackOrigin& origin);

  [[nodiscard]] const std::string& path() const noexcept { return mapping_.path(); }
  [[nodiscard]] const PackEntry* find(std::string_view name) const noexcept;  ///< null when absent
  [[nodiscard]] std::span<const PackEntry> entries() const noexcept { return entries_; }

 private:
  explicit PackFile(FileMapping mapping) noexcept : mapping_(std::move(mapping)) {}
  Status read_index(const PackOrigin& origin);

  FileMapping mapping_;
  std::vector<PackEntry> entries_;  ///< sorted by name
};

/// Writes a pack cache: describe everything, then stream the sections in the order in which they were added. It appears
/// under its name at finish(). Not thread-safe.
class PackWriter {
 public:
  PackWriter();
  PackWriter(PackWriter&&) noexcept;
  PackWriter& operator=(PackWriter&&) noexcept;
  ~PackWriter();  ///< removes the unfinished file

  void add_vector(std::string_view name, std::uint64_t layout, std::span<const float> values);
  void add_section(std::string_view name, std::uint64_t layout, std::uint64_t size_bytes);

  Status begin(const std::string& path, const PackOrigin& origin);
  /// All bytes of the next section.
  Status write_section(std::span<const std::uint8_t> bytes);
  Status finish();

  [[nodiscard]] std::uint64_t file_bytes() const noexcept;  ///< known from begin() on

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace elms::inline v0::detail
