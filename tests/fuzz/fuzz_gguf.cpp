// Parses any bytes as a GGUF file and uses everything that it offers.
#include <cstdint>
#include <cstdlib>

#include "elms/detail/gguf.hpp"
#include "tests/fuzz/touch_gguf.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const elms::Result<elms::detail::GgufFile> file = elms::detail::GgufFile::parse({data, size}, "fuzz");
  if (!file.has_value()) {
    if (file.error().message().rfind("fuzz: ", 0) != 0) std::abort();  // every error names the file
    return 0;
  }
  if (!elms_test::touch_everything(*file)) std::abort();
  return 0;
}
