#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "elms/detail/error.hpp"
#include "elms/detail/file_mapping.hpp"

namespace elms::inline v0::detail {

namespace {

Status os_error(const std::string& path, const char* what, int code) {
  StatusCode kind = code == ENOMEM ? StatusCode::kOutOfMemory : StatusCode::kIoError;
  if (code == ENOENT || code == ENOTDIR) kind = StatusCode::kNotFound;
  return error(kind, path, ": ", what, ": ", std::strerror(code));
}

}  // namespace

Result<FileMapping> FileMapping::open(const std::string& path) {
  FileMapping mapping;
  mapping.path_ = path;  // takes memory, so before there is something to close
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return os_error(path, "cannot open", errno);

  Status status;
  struct stat info {};
  if (::fstat(fd, &info) != 0) {
    status = os_error(path, "cannot stat", errno);
  } else if (!S_ISREG(info.st_mode)) {
    status = invalid_argument(path, ": not a regular file");
  } else if (info.st_size > 0) {
    const auto size = static_cast<std::size_t>(info.st_size);
    void* address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (address == MAP_FAILED) {
      status = os_error(path, "cannot map", errno);
    } else {
      mapping.data_ = static_cast<const std::uint8_t*>(address);
      mapping.size_ = size;
    }
  }
  ::close(fd);
  if (!status.ok()) return status;
#if defined(__APPLE__)
  const struct timespec modified = info.st_mtimespec;
#else
  const struct timespec modified = info.st_mtim;
#endif
  mapping.modified_ns_ = std::int64_t{modified.tv_sec} * 1'000'000'000 + modified.tv_nsec;
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
  if (data_ != nullptr) ::munmap(const_cast<std::uint8_t*>(data_), size_);
}

void FileMapping::release(std::size_t offset, std::size_t size_bytes) const noexcept {
  if (data_ == nullptr || offset >= size_) return;
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const std::size_t end = size_bytes > size_ - offset ? size_ : offset + size_bytes;
  const std::size_t first_page = (offset + page - 1) / page * page;
  const std::size_t end_page = end == size_ ? end : end / page * page;
  if (first_page < end_page) {
    ::madvise(const_cast<std::uint8_t*>(data_) + first_page, end_page - first_page, MADV_DONTNEED);
  }
}

}  // namespace elms::inline v0::detail
