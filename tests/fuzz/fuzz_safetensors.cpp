// Any bytes as config.json and a safetensors file.
#include <cstdint>
#include <cstdlib>

#include "tests/fuzz/touch_checkpoint.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (elms_test::touch_checkpoint(data, size) == elms_test::Touched::kBroken) std::abort();
  return 0;
}
