// A buffer that ends where memory ends: what reads or writes past it crashes, and what writes into the few
// bytes that its alignment leaves free is found by intact().
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>

#if !defined(_WIN32)
#include <sys/mman.h>
#include <unistd.h>
#endif

namespace elms_test {

template <typename T>
class GuardedBuffer {
 public:
  /// `alignment` is a power of two. Every byte starts as 0xff, which is a NaN in f32, f16 and bf16.
  explicit GuardedBuffer(std::size_t size, std::size_t alignment = alignof(T)) : size_(size) {
    const std::size_t page = page_bytes();
    const std::size_t body = (size * sizeof(T) + alignment + page - 1) / page * page;
    mapping_bytes_ = body + 2 * page;
    mapping_ = map(mapping_bytes_, page);
    begin_ = mapping_ + page;
    end_ = begin_ + body;
    std::memset(begin_, 0xff, body);
    data_ =
        reinterpret_cast<T*>(reinterpret_cast<std::uintptr_t>(end_ - size * sizeof(T)) & ~(alignment - 1));
  }
  ~GuardedBuffer() { unmap(); }
  GuardedBuffer(const GuardedBuffer&) = delete;
  GuardedBuffer& operator=(const GuardedBuffer&) = delete;

  [[nodiscard]] T* data() { return data_; }
  [[nodiscard]] const T* data() const { return data_; }
  [[nodiscard]] std::size_t size() const { return size_; }
  T& operator[](std::size_t i) { return data_[i]; }
  const T& operator[](std::size_t i) const { return data_[i]; }

  /// Whether the bytes beside the buffer are as they were.
  [[nodiscard]] bool intact() const {
    const auto* first = reinterpret_cast<const std::uint8_t*>(data_);
    for (const std::uint8_t* p = begin_; p < first; ++p) {
      if (*p != 0xff) return false;
    }
    for (const std::uint8_t* p = first + size_ * sizeof(T); p < end_; ++p) {
      if (*p != 0xff) return false;
    }
    return true;
  }

 private:
#if defined(_WIN32)
  static std::size_t page_bytes() {
    return 4096;
  }
  static std::uint8_t* map(std::size_t bytes, std::size_t) {
    return static_cast<std::uint8_t*>(::operator new(bytes));
  }
  void unmap() {
    ::operator delete(mapping_);
  }
#else
  static std::size_t page_bytes() {
    return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  }
  static std::uint8_t* map(std::size_t bytes, std::size_t page) {
    void* mapping = ::mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapping == MAP_FAILED) throw std::bad_alloc();
    auto* first = static_cast<std::uint8_t*>(mapping);
    if (::mprotect(first + page, bytes - 2 * page, PROT_READ | PROT_WRITE) != 0) throw std::bad_alloc();
    return first;
  }
  void unmap() {
    ::munmap(mapping_, mapping_bytes_);
  }
#endif

  std::size_t size_;
  std::size_t mapping_bytes_ = 0;
  std::uint8_t* mapping_ = nullptr;
  std::uint8_t* begin_ = nullptr;  // between the guard pages
  std::uint8_t* end_ = nullptr;
  T* data_ = nullptr;
};

}  // namespace elms_test
