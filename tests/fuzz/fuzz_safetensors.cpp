// Any bytes as config.json and a safetensors file.
#include "tests/fuzz/fuzz_targets.hpp"
#include "tests/fuzz/touch_checkpoint.hpp"

void elms_test::fuzz_safetensors(FuzzBytes bytes) {
  require(touch_checkpoint(bytes.data(), bytes.size()) != Touched::kBroken, "every error names the file");
}
