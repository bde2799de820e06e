// Replaces operator new of this executable. The array and nothrow forms of the standard library call these.
#include "allocation_counter.hpp"

#include <cstdlib>
#include <new>

namespace {

thread_local bool counting = false;
thread_local std::size_t largest_bytes = 0;
thread_local std::size_t n_allocations = 0;

void note(std::size_t size) noexcept {
  if (!counting) return;
  ++n_allocations;
  if (size > largest_bytes) largest_bytes = size;
}

void* allocate(std::size_t size) noexcept {
  note(size);
  return std::malloc(size == 0 ? 1 : size);
}

void* allocate(std::size_t size, std::align_val_t alignment) noexcept {
  note(size);
  const auto align = static_cast<std::size_t>(alignment);
  return std::aligned_alloc(align, size == 0 ? align : (size + align - 1) / align * align);
}

}  // namespace

void* operator new(std::size_t size) {
  void* memory = allocate(size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
void* operator new(std::size_t size, std::align_val_t alignment) {
  void* memory = allocate(size, alignment);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return allocate(size);
}
void* operator new(std::size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  return allocate(size, alignment);
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  std::free(memory);
}

namespace elms_test {

AllocationCounter::AllocationCounter() noexcept {
  largest_bytes = 0;
  n_allocations = 0;
  counting = true;
}
AllocationCounter::~AllocationCounter() {
  counting = false;
}
std::size_t AllocationCounter::largest() const noexcept {
  return largest_bytes;
}
std::size_t AllocationCounter::count() const noexcept {
  return n_allocations;
}

}  // namespace elms_test
