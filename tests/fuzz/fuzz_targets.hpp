// Every fuzz target is a function of some bytes, in the file of its name. libFuzzer calls one of them
// (fuzz_main.cpp), the ordinary tests call all of them with what is in corpus/ (replay_test.cpp). A property
// that does not hold ends the process.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

namespace elms_test {

using FuzzBytes = std::span<const std::uint8_t>;

void fuzz_c_api(FuzzBytes bytes);
void fuzz_chat_template(FuzzBytes bytes);
void fuzz_gguf(FuzzBytes bytes);
void fuzz_model_file(FuzzBytes bytes);
void fuzz_planner_files(FuzzBytes bytes);
void fuzz_refine(FuzzBytes bytes);
void fuzz_refiner_file(FuzzBytes bytes);
void fuzz_safetensors(FuzzBytes bytes);
void fuzz_tokenizer(FuzzBytes bytes);

/// Says what does not hold, so that a crash's log does too.
inline void require(bool condition, const char* property) {
  if (condition) return;
  std::fprintf(stderr, "does not hold: %s\n", property);
  std::abort();
}

inline std::string_view as_text(FuzzBytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Takes values off the front of an input; zeros once it is used up.
class FuzzReader {
 public:
  explicit FuzzReader(FuzzBytes bytes) : bytes_(bytes) {}

  [[nodiscard]] bool done() const { return bytes_.empty(); }
  std::uint8_t byte() { return number<std::uint8_t>(); }
  bool flag() { return (byte() & 1) != 0; }

  template <typename T>
  T number() {
    T value{};
    const std::size_t n = std::min(sizeof value, bytes_.size());
    if (n > 0) std::memcpy(&value, bytes_.data(), n);
    bytes_ = bytes_.subspan(n);
    return value;
  }
  /// At most n bytes.
  std::string_view text(std::size_t n) {
    const FuzzBytes taken = bytes_.first(std::min(n, bytes_.size()));
    bytes_ = bytes_.subspan(taken.size());
    return as_text(taken);
  }
  /// Up to the next `end`, which is taken too.
  std::string_view text_until(std::uint8_t end) {
    const auto found = std::find(bytes_.begin(), bytes_.end(), end);
    const std::string_view taken = text(static_cast<std::size_t>(found - bytes_.begin()));
    byte();
    return taken;
  }
  FuzzBytes rest() const { return bytes_; }

 private:
  FuzzBytes bytes_;
};

}  // namespace elms_test
