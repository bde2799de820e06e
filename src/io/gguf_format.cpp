#include "io/gguf_format.hpp"

#include <iterator>

namespace elms::inline v0::detail {

namespace {

struct TypeFacts {
  std::string_view name;
  std::size_t bytes;
};

// By number.
constexpr TypeFacts kValueTypes[] = {
    {"uint8", 1}, {"int8", 1},   {"uint16", 2}, {"int16", 2},  {"uint32", 4}, {"int32", 4},  {"float32", 4},
    {"bool", 1},  {"string", 0}, {"array", 0},  {"uint64", 8}, {"int64", 8},  {"float64", 8}};

// By number; gaps are types that were withdrawn.
constexpr std::string_view kTensorTypes[] = {
    "F32",    "F16",      "Q4_0",     "Q4_1",     "Q4_2",  "Q4_3",  "Q5_0",    "Q5_1",   "Q8_0",    "Q8_1",
    "Q2_K",   "Q3_K",     "Q4_K",     "Q5_K",     "Q6_K",  "Q8_K",  "IQ2_XXS", "IQ2_XS", "IQ3_XXS", "IQ1_S",
    "IQ4_NL", "IQ3_S",    "IQ2_S",    "IQ4_XS",   "I8",    "I16",   "I32",     "I64",    "F64",     "IQ1_M",
    "BF16",   "Q4_0_4_4", "Q4_0_4_8", "Q4_0_8_8", "TQ1_0", "TQ2_0", "",        "",       "",        "MXFP4"};

}  // namespace

std::size_t gguf_scalar_bytes(GgufType type) noexcept {
  return kValueTypes[static_cast<std::uint32_t>(type)].bytes;
}

std::string_view gguf_type_name(GgufType type) noexcept {
  return kValueTypes[static_cast<std::uint32_t>(type)].name;
}

std::string_view ggml_type_name(std::uint32_t number) noexcept {
  return number < std::size(kTensorTypes) ? kTensorTypes[number] : std::string_view();
}

std::string quoted(std::string_view name) {
  constexpr std::size_t kMaxShown = 80;
  constexpr char kHex[] = "0123456789abcdef";
  std::string out = "'";
  for (const char c : name.substr(0, kMaxShown)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f) {
      out.push_back(c);
    } else {
      out.append("\\x").push_back(kHex[byte >> 4]);
      out.push_back(kHex[byte & 15]);
    }
  }
  out.append(name.size() > kMaxShown ? "...'" : "'");
  return out;
}

}  // namespace elms::inline v0::detail
