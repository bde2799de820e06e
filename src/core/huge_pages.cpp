#include <cstdint>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "elms/detail/buffer.hpp"

namespace elms::inline v0::detail {

void prefer_huge_pages([[maybe_unused]] void* data, [[maybe_unused]] std::size_t size_bytes) noexcept {
#if defined(__linux__)
  const auto begin = (reinterpret_cast<std::uintptr_t>(data) + kHugePageBytes - 1) / kHugePageBytes * kHugePageBytes;
  const auto end = (reinterpret_cast<std::uintptr_t>(data) + size_bytes) / kHugePageBytes * kHugePageBytes;
  // Not the part of a page at the end: it would become resident whole.
  if (begin < end) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
#endif
}

}  // namespace elms::inline v0::detail
