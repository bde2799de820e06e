// The largest piece of memory that this thread asked operator new for while a counter was alive.
#pragma once

#include <cstddef>

namespace elms_test {

class AllocationCounter {
 public:
  AllocationCounter() noexcept;
  ~AllocationCounter();
  AllocationCounter(const AllocationCounter&) = delete;
  AllocationCounter& operator=(const AllocationCounter&) = delete;

  std::size_t largest() const noexcept;
  std::size_t count() const noexcept;
};

}  // namespace elms_test
