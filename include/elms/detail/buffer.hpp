// Cache-line aligned memory whose allocation can fail without an exception.
#pragma once

#include <cstddef>
#include <cstring>
#include <limits>
#include <memory>
#include <new>
#include <span>
#include <type_traits>
#include <utility>

#include "elms/detail/error.hpp"
#include "elms/status.hpp"

namespace elms::inline v0::detail {

inline constexpr std::size_t kBufferAlignment = 64;
/// Of buffers that may lie in huge pages: the common size of these.
inline constexpr std::size_t kHugePageBytes = std::size_t{2} << 20;

/// Asks the OS for huge pages for the whole ones of them in [data, data + size_bytes). A hint: it may do nothing.
void prefer_huge_pages(void* data, std::size_t size_bytes) noexcept;

/// A fixed-size array of trivial elements, aligned to a cache line and owned by one place. Every buffer whose size
/// comes from a file, a model or a caller is one of these, so that running out of memory is a Status.
template <typename T>
class Buffer {
  static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);

 public:
  Buffer() noexcept = default;
  Buffer(Buffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)),
        alignment_(std::exchange(other.alignment_, kBufferAlignment)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(alignment_, other.alignment_);
    return *this;
  }
  ~Buffer() { ::operator delete(static_cast<void*>(data_), std::align_val_t{alignment_}); }

  /// Memory for n elements. Not initialised: pages are touched only when written.
  [[nodiscard]] static Result<Buffer> uninitialized(std::size_t n) noexcept { return allocate(n, kBufferAlignment); }

  /// The same for memory that will all be written and then read from end to end: in huge pages where the OS has them,
  /// which saves page faults and stalls at page ends.
  [[nodiscard]] static Result<Buffer> uninitialized_streamed(std::size_t n) noexcept {
    if (n < kHugePageBytes / sizeof(T)) return uninitialized(n);
    Result<Buffer> buffer = allocate(n, kHugePageBytes);
    if (buffer.has_value()) prefer_huge_pages(buffer->data_, buffer->size_bytes());
    return buffer;
  }

  /// Memory for n elements, all bytes zero.
  [[nodiscard]] static Result<Buffer> zeroed(std::size_t n) noexcept {
    Result<Buffer> buffer = uninitialized(n);
    if (buffer.has_value() && n != 0) std::memset(static_cast<void*>(buffer->data()), 0, n * sizeof(T));
    return buffer;
  }

  [[nodiscard]] T* data() noexcept { return data_; }
  [[nodiscard]] const T* data() const noexcept { return data_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::size_t size_bytes() const noexcept { return size_ * sizeof(T); }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  T& operator[](std::size_t i) noexcept { return data_[i]; }
  const T& operator[](std::size_t i) const noexcept { return data_[i]; }
  operator std::span<T>() noexcept { return {data_, size_}; }              // NOLINT: a buffer is a span
  operator std::span<const T>() const noexcept { return {data_, size_}; }  // NOLINT

 private:
  static Result<Buffer> allocate(std::size_t n, std::size_t alignment) noexcept {
    Buffer buffer;
    buffer.alignment_ = alignment;
    if (n == 0) return buffer;
    if (n <= std::numeric_limits<std::size_t>::max() / sizeof(T)) {
      buffer.data_ = static_cast<T*>(::operator new(n * sizeof(T), std::align_val_t{alignment}, std::nothrow));
    }
    if (buffer.data_ == nullptr) {
      return error(StatusCode::kOutOfMemory, "cannot allocate ", n, " elements of ", sizeof(T), " bytes");
    }
    buffer.size_ = n;
    return buffer;
  }

  T* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t alignment_ = kBufferAlignment;
};

}  // namespace elms::inline v0::detail
