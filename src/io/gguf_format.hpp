// Facts of the GGUF format that reader and writer share, and how messages name things of a file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "elms/detail/gguf.hpp"

namespace elms::inline v0::detail {

inline constexpr std::string_view kGgufMagic = "GGUF";
inline constexpr std::uint32_t kGgufVersion = 3;
inline constexpr std::uint32_t kGgufDefaultAlignment = 32;
inline constexpr std::string_view kGgufAlignmentKey = "general.alignment";
inline constexpr std::size_t kGgufMaxNameBytes = 65535;  ///< of keys by the spec, of tensor names by us
inline constexpr std::uint32_t kGgufMaxDims = 4;
inline constexpr std::uint64_t kGgufMaxElements = std::uint64_t{1}
                                                  << 60;  ///< of a tensor: its bytes fit in 64 bits

[[nodiscard]] inline bool is_gguf_type(std::uint32_t number) noexcept {
  return number <= static_cast<std::uint32_t>(GgufType::kFloat64);
}

/// Bytes of a value of fixed size; 0 for strings and arrays.
[[nodiscard]] std::size_t gguf_scalar_bytes(GgufType type) noexcept;
/// "uint32", "string", ...
[[nodiscard]] std::string_view gguf_type_name(GgufType type) noexcept;

/// "Q4_K"; for types that elms does not read too, as far as they are known. Empty for a number without a
/// name.
[[nodiscard]] std::string_view ggml_type_name(std::uint32_t number) noexcept;

/// A name from a file as messages show it: in quotes, shortened, with everything but printable ASCII escaped.
[[nodiscard]] std::string quoted(std::string_view name);

[[nodiscard]] constexpr bool is_power_of_two(std::uint64_t n) noexcept {
  return n != 0 && (n & (n - 1)) == 0;
}

/// The next multiple of a power of two. The caller makes sure that it fits.
[[nodiscard]] constexpr std::uint64_t align_up(std::uint64_t n, std::uint64_t alignment) noexcept {
  return (n + alignment - 1) & ~(alignment - 1);
}

}  // namespace elms::inline v0::detail
