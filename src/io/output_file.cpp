#include "io/output_file.hpp"

#include <cerrno>
#include <cstring>
#include <utility>

#include "elms/detail/error.hpp"

#if defined(_WIN32)
#include <io.h>

#include "core/windows_path.hpp"
#else
#include <sys/stat.h>
#include <unistd.h>
#endif

namespace elms::inline v0::detail {

namespace {

// What the operating systems do differently. Each returns false with errno set.
#if defined(_WIN32)

bool is_something_else_than_a_file(const std::string& path) {
  const DWORD attributes = ::GetFileAttributesW(to_wide(path).c_str());
  return attributes != INVALID_FILE_ATTRIBUTES &&
         (attributes & (FILE_ATTRIBUTE_DIRECTORY | FILE_ATTRIBUTE_DEVICE)) != 0;
}

std::FILE* open_new(const std::string& path) {
  return ::_wfopen(to_wide(path).c_str(), L"wbx");
}

bool sync_to_disk(std::FILE* stream) {
  return ::_commit(::_fileno(stream)) == 0;
}

bool replace(const std::string& from, const std::string& to) {
  if (::MoveFileExW(to_wide(from).c_str(), to_wide(to).c_str(), MOVEFILE_REPLACE_EXISTING) != 0) return true;
  errno = EACCES;
  return false;
}

void remove_file(const std::string& path) {
  ::DeleteFileW(to_wide(path).c_str());
}

#else

bool is_something_else_than_a_file(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode);
}

std::FILE* open_new(const std::string& path) {
  return std::fopen(path.c_str(), "wbx");
}

bool sync_to_disk(std::FILE* stream) {
  return ::fsync(::fileno(stream)) == 0;
}

bool replace(const std::string& from, const std::string& to) {
  return std::rename(from.c_str(), to.c_str()) == 0;
}

void remove_file(const std::string& path) {
  ::unlink(path.c_str());
}

#endif

// Leftovers of killed processes keep their names; with so many of them something else is wrong.
constexpr int kMaxPartialNames = 100;

Status os_error(const std::string& path, const char* what) {
  return error(errno == ENOMEM ? StatusCode::kOutOfMemory : StatusCode::kIoError, path, ": ", what, ": ", std::strerror(errno));
}

}  // namespace

OutputFile::OutputFile(OutputFile&& other) noexcept
    : stream_(std::exchange(other.stream_, nullptr)),
      target_(std::move(other.target_)),
      partial_(std::move(other.partial_)) {}

OutputFile& OutputFile::operator=(OutputFile&& other) noexcept {
  std::swap(stream_, other.stream_);
  std::swap(target_, other.target_);
  std::swap(partial_, other.partial_);
  return *this;
}

OutputFile::~OutputFile() {
  discard();
}

void OutputFile::discard() noexcept {
  if (stream_ == nullptr) return;
  std::fclose(stream_);
  stream_ = nullptr;
  remove_file(partial_);
}

Result<OutputFile> OutputFile::create(const std::string& target) {
  if (target.empty()) return invalid_argument("the name of the file to write is empty");
  // Renaming over a device would replace it for the whole system.
  if (is_something_else_than_a_file(target))
    return invalid_argument(target, ": exists and is not a regular file");
  OutputFile file;
  file.target_ = target;
  for (int i = 0; i < kMaxPartialNames; ++i) {
    file.partial_ = i == 0 ? concat(target, ".partial") : concat(target, ".partial", i);
    file.stream_ = open_new(file.partial_);
    if (file.stream_ != nullptr) return file;
    if (errno != EEXIST) break;
  }
  return os_error(file.partial_, "cannot create");
}

Status OutputFile::write(std::span<const std::uint8_t> bytes) {
  if (bytes.empty()) return {};
  if (stream_ == nullptr) return error(StatusCode::kInternal, target_, ": written after it was closed");
  if (std::fwrite(bytes.data(), 1, bytes.size(), stream_) != bytes.size())
    return os_error(target_, "cannot write");
  return {};
}

Status OutputFile::commit() {
  if (stream_ == nullptr) return error(StatusCode::kInternal, target_, ": committed after it was closed");
  if (std::fflush(stream_) != 0) return os_error(target_, "cannot write");
  if (!sync_to_disk(stream_)) return os_error(target_, "cannot bring to the disk");
  // Closed before the rename: Windows does not move an open file.
  const bool closed = std::fclose(std::exchange(stream_, nullptr)) == 0;
  Status status;
  if (!closed) {
    status = os_error(target_, "cannot write");
  } else if (!replace(partial_, target_)) {
    status = os_error(target_, "cannot replace");
  }
  if (!status.ok()) remove_file(partial_);
  return status;
}

}  // namespace elms::inline v0::detail
