// Parses any bytes as a GGUF file and uses everything that it offers.
#include "elms/detail/gguf.hpp"
#include "tests/fuzz/fuzz_targets.hpp"
#include "tests/fuzz/touch_gguf.hpp"

void elms_test::fuzz_gguf(FuzzBytes bytes) {
  const elms::Result<elms::detail::GgufFile> file = elms::detail::GgufFile::parse(bytes, "fuzz");
  if (!file.has_value()) {
    require(file.error().message().starts_with("fuzz: "), "every error names the file");
    return;
  }
  require(touch_everything(*file), "a parsed file does not contradict itself");
}
