#include <utility>

#include "core/windows_path.hpp"
#include "elms/detail/error.hpp"
#include "elms/detail/file_mapping.hpp"

namespace elms::inline v0::detail {

namespace {

Status windows_error(const std::string& path, const char* what) {
  const DWORD code = ::GetLastError();
  const StatusCode kind = code == ERROR_FILE_NOT_FOUND || code == ERROR_PATH_NOT_FOUND ? StatusCode::kNotFound
                                                                                       : StatusCode::kIoError;
  return error(kind, path, ": ", what, ": Windows error ", code);
}

Result<const void*> map_whole_file(const std::string& path, HANDLE file, std::size_t& size) {
  LARGE_INTEGER length;
  if (!::GetFileSizeEx(file, &length)) return windows_error(path, "cannot get the size");
  size = static_cast<std::size_t>(length.QuadPart);
  if (size == 0) return static_cast<const void*>(nullptr);
  HANDLE section = ::CreateFileMappingW(file, nullptr, PAGE_READONLY, 0, 0, nullptr);
  if (section == nullptr) return windows_error(path, "cannot map");
  const void* view = ::MapViewOfFile(section, FILE_MAP_READ, 0, 0, 0);
  Status status = view == nullptr ? windows_error(path, "cannot map") : Status();
  ::CloseHandle(section);
  if (!status.ok()) return status;
  return view;
}

}  // namespace

Result<FileMapping> FileMapping::open(const std::string& path) {
  FileMapping mapping;
  mapping.path_ = path;  // takes memory, so before there is something to close
  HANDLE file = ::CreateFileW(to_wide(path).c_str(), GENERIC_READ, FILE_SHARE_READ, nullptr, OPEN_EXISTING,
                              FILE_ATTRIBUTE_NORMAL, nullptr);
  if (file == INVALID_HANDLE_VALUE) return windows_error(path, "cannot open");
  Result<const void*> view = map_whole_file(path, file, mapping.size_);
  FILETIME modified{};
  if (::GetFileTime(file, nullptr, nullptr, &modified) != 0) {
    const std::uint64_t ticks = std::uint64_t{modified.dwHighDateTime} << 32 | modified.dwLowDateTime;
    mapping.modified_ns_ = static_cast<std::int64_t>(ticks * 100);
  }
  ::CloseHandle(file);
  if (!view.has_value()) return view.error();
  mapping.data_ = static_cast<const std::uint8_t*>(*view);
  return mapping;
}

FileMapping::FileMapping(FileMapping&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      modified_ns_(other.modified_ns_),
      path_(std::move(other.path_)) {}

FileMapping& FileMapping::operator=(FileMapping&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(modified_ns_, other.modified_ns_);
  std::swap(path_, other.path_);
  return *this;
}

FileMapping::~FileMapping() {
  if (data_ != nullptr) ::UnmapViewOfFile(data_);
}

// Unlocking pages that are not locked drops them from the working set; they stay in the standby list.
void FileMapping::release(std::size_t offset, std::size_t size_bytes) const noexcept {
  if (data_ == nullptr || offset >= size_) return;
  const std::size_t length = size_bytes > size_ - offset ? size_ - offset : size_bytes;
  ::VirtualUnlock(const_cast<std::uint8_t*>(data_) + offset, length);
}

}  // namespace elms::inline v0::detail
