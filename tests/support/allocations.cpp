// GCC sees free() on memory from operator new and does not know that this operator new is malloc().
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
#endif
#include "allocations.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <new>

// The sanitizers have a malloc of their own.
#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define ELMS_REPLACES_MALLOC 1
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#undef ELMS_REPLACES_MALLOC
#endif
#endif
#endif

#if defined(ELMS_REPLACES_MALLOC)
extern "C" {  // NOLINTBEGIN: names of glibc
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t n, std::size_t size);
void* __libc_realloc(void* memory, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);
void __libc_free(void* memory);
}  // NOLINTEND
#endif

namespace {

std::atomic<long> g_count{0}, g_live{0};
std::atomic<std::size_t> g_largest{0};
constexpr long kNever = -1;
std::atomic<long> g_left{kNever};  // allocations that still succeed before the one that fails
std::atomic<bool> g_happened{false};

/// Whether this allocation may succeed.
bool admit(std::size_t size) noexcept {
  ++g_count;
  std::size_t largest = g_largest.load();
  while (size > largest && !g_largest.compare_exchange_weak(largest, size)) {
  }
  long left = g_left.load();
  while (left != kNever && !g_left.compare_exchange_weak(left, left - 1)) {
  }
  if (left != 0) return true;
  g_happened = true;
  errno = ENOMEM;
  return false;
}

void* raw_allocate(std::size_t size, std::size_t alignment) noexcept {
#if defined(ELMS_REPLACES_MALLOC)
  return alignment <= alignof(std::max_align_t) ? __libc_malloc(size) : __libc_memalign(alignment, size);
#else
  if (alignment <= alignof(std::max_align_t)) return std::malloc(size);
  return std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
#endif
}

void* allocate(std::size_t size, std::size_t alignment) noexcept {
  if (!admit(size)) return nullptr;
  void* memory = raw_allocate(std::max<std::size_t>(size, 1), alignment);
  if (memory != nullptr) ++g_live;
  return memory;
}
void* allocate(std::size_t size, std::align_val_t alignment) noexcept {
  return allocate(size, static_cast<std::size_t>(alignment));
}

void release(void* memory) noexcept {
  if (memory == nullptr) return;
  --g_live;
  std::free(memory);
}

void* or_throw(void* memory) {
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

// The array forms of the standard library call these.
void* operator new(std::size_t size) { return or_throw(allocate(size, 1)); }
void* operator new(std::size_t size, std::align_val_t alignment) { return or_throw(allocate(size, alignment)); }
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return allocate(size, 1); }
void* operator new(std::size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  return allocate(size, alignment);
}
void operator delete(void* memory) noexcept { release(memory); }
void operator delete(void* memory, std::size_t) noexcept { release(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { release(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { release(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { release(memory); }
void operator delete(void* memory, std::align_val_t, const std::nothrow_t&) noexcept { release(memory); }

#if defined(ELMS_REPLACES_MALLOC)
// What libraries in C take, and the C library itself.
extern "C" {
void* malloc(std::size_t size) { return admit(size) ? __libc_malloc(size) : nullptr; }
void* calloc(std::size_t n, std::size_t size) { return admit(n * size) ? __libc_calloc(n, size) : nullptr; }
void* realloc(void* memory, std::size_t size) { return admit(size) ? __libc_realloc(memory, size) : nullptr; }
void* memalign(std::size_t alignment, std::size_t size) {
  return admit(size) ? __libc_memalign(alignment, size) : nullptr;
}
void* aligned_alloc(std::size_t alignment, std::size_t size) { return memalign(alignment, size); }
int posix_memalign(void** out, std::size_t alignment, std::size_t size) {
  void* memory = memalign(alignment, size);
  if (memory == nullptr) return ENOMEM;
  *out = memory;
  return 0;
}
void free(void* memory) { __libc_free(memory); }
}  // extern "C"
#endif

namespace elms_test {

AllocationCounter::AllocationCounter() noexcept : count_before_(g_count.load()) { g_largest = 0; }
long AllocationCounter::count() const noexcept { return g_count.load() - count_before_; }
std::size_t AllocationCounter::largest() const noexcept { return g_largest.load(); }

FailingAllocation::FailingAllocation(long n) noexcept {
  g_happened = false;
  g_left = n;
}
FailingAllocation::~FailingAllocation() { disarm(); }
bool FailingAllocation::happened() const noexcept { return g_happened; }
void FailingAllocation::disarm() noexcept { g_left = kNever; }

long live_allocations() noexcept { return g_live.load(); }

}  // namespace elms_test
