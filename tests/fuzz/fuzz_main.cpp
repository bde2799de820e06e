// What libFuzzer calls.
#include "tests/fuzz/fuzz_targets.hpp"

/// A size from a file that nothing bounds must come back as a Status. The rest is for speed.
extern "C" const char* __asan_default_options() {
  return "allocator_may_return_null=1:max_allocation_size_mb=512:strict_string_checks=1:"
         "malloc_context_size=6:quarantine_size_mb=32";
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  elms_test::ELMS_FUZZ_TARGET({data, size});
  return 0;
}
