// How C arguments become C++ ones, and failures C errors. Every file of this room works by these.
#pragma once

#include <cstddef>
#include <cstring>
#include <new>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>

#include "elms/detail/error.hpp"
#include "elms/elms.h"
#include "elms/status.hpp"
#include "elms/types.hpp"

struct elms_cancel {
  elms::CancelToken token;
};

namespace elms::inline v0::detail {

/// Fills *out, if there is one, and returns the code.
elms_code report(const Status& status, elms_error* out) noexcept;

/// The caller's options, whatever version of the struct it was compiled with. A null pointer is all defaults.
/// kInvalidArgument where it sets fields that this library does not know.
template <typename Options>
Result<Options> read_options(const Options* given, std::string_view name) {
  static_assert(std::is_trivially_copyable_v<Options>);
  Options options{};
  if (given == nullptr) return options;
  std::size_t size = 0;
  std::memcpy(&size, given, sizeof size);
  if (size < sizeof size) return invalid_argument(name, ": struct_size is ", size, ", expected sizeof(", name, ")");
  const auto* bytes = reinterpret_cast<const unsigned char*>(given);
  for (std::size_t i = sizeof(Options); i < size; ++i) {
    if (bytes[i] != 0) return invalid_argument(name, ": field at byte ", i, " is set, which this version of elms does not know");
  }
  std::memcpy(&options, given, size < sizeof(Options) ? size : sizeof(Options));
  return options;
}

/// A view of the caller's bytes. kInvalidArgument for none with a length.
inline Result<std::string_view> read_text(const char* text, std::size_t text_bytes, std::string_view name) {
  if (text == nullptr && text_bytes != 0) return invalid_argument(name, ": a null pointer of ", text_bytes, " bytes");
  return std::string_view(text_bytes == 0 ? "" : text, text_bytes);
}

inline Result<std::span<const TokenId>> read_tokens(const int32_t* tokens, std::size_t n_tokens) {
  if (tokens == nullptr && n_tokens != 0) return invalid_argument("tokens: a null pointer to ", n_tokens, " tokens");
  return std::span<const TokenId>(tokens, n_tokens);
}

/// Copies a result that the caller may first ask the size of (capacity 0).
template <typename T>
Status copy_out(std::span<const T> values, T* out, std::size_t capacity, std::size_t* n_out, std::string_view name) {
  if (n_out == nullptr) return invalid_argument(name, ": nowhere to write how many there are");
  *n_out = values.size();
  if (capacity == 0) return {};
  if (out == nullptr) return invalid_argument(name, ": a null pointer with a capacity of ", capacity);
  if (capacity < values.size()) return invalid_argument(name, ": ", values.size(), " do not fit into a capacity of ", capacity);
  if (!values.empty()) std::memcpy(out, values.data(), values.size_bytes());
  return {};
}

/// Moves a value into a handle of type Handle, which has a constructor for it.
template <typename Handle, typename Value>
Status make_handle(Value&& value, Handle** out) noexcept {
  *out = new (std::nothrow) Handle{std::forward<Value>(value)};
  return *out != nullptr ? Status() : Status(StatusCode::kOutOfMemory, "a handle");
}

inline const CancelToken* token_of(const elms_cancel* cancel) noexcept { return cancel == nullptr ? nullptr : &cancel->token; }

}  // namespace elms::inline v0::detail
