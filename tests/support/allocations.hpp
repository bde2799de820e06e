// Counts what a program allocates, and lets allocations fail. An executable that needs this has allocations.cpp among
// its sources, which replaces operator new and, where that is possible, malloc.
#pragma once

#include <cstddef>

namespace elms_test {

/// What all threads asked for while it was alive.
class AllocationCounter {
 public:
  AllocationCounter() noexcept;
  [[nodiscard]] long count() const noexcept;
  [[nodiscard]] std::size_t largest() const noexcept;  ///< bytes of the largest one

 private:
  long count_before_;
};

/// Lets the allocation number n (from 0, of any thread) fail that comes while it is alive, and no other.
class FailingAllocation {
 public:
  explicit FailingAllocation(long n) noexcept;
  ~FailingAllocation();
  FailingAllocation(const FailingAllocation&) = delete;
  FailingAllocation& operator=(const FailingAllocation&) = delete;

  [[nodiscard]] bool happened() const noexcept;
  /// No allocation is counted or fails any more.
  void disarm() noexcept;
};

/// Pieces of memory from operator new that were not given back yet.
[[nodiscard]] long live_allocations() noexcept;

}  // namespace elms_test
