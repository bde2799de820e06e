// How C arguments become C++ ones, and failures C errors. Every file of this room works by these.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

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

/// The same of what a call returns, with which every function of elms.h that can fail does its work.
template <typename Call>
elms_code report(Call&& call, elms_error* out) noexcept
  requires std::is_invocable_r_v<Status, Call>
{
  return report(or_out_of_memory(std::forward<Call>(call)), out);
}

/// Copies as much of the text as fits into `room` with a 0 at its end, and cuts no UTF-8 character.
void copy_cut(std::string_view text, std::span<char> room) noexcept;

/// The size that a caller says its struct has. kInvalidArgument for what no struct of elms.h can have: all begin with a
/// size_t and are as aligned, so none ends within a pointer.
inline Result<std::size_t> read_struct_size(const void* given, std::string_view name) {
  constexpr std::size_t kMaxStructBytes = 4096;
  std::size_t size = 0;
  std::memcpy(&size, given, sizeof size);
  if (size < sizeof size || size > kMaxStructBytes || size % alignof(std::size_t) != 0) {
    return invalid_argument(name, ": struct_size is ", size, ", expected sizeof(", name, ")");
  }
  return size;
}

/// The caller's options, whatever version of the struct it was compiled with. A null pointer is all defaults.
/// kInvalidArgument where it sets fields that this library does not know.
template <typename Options>
Result<Options> read_options(const Options* given, std::string_view name) {
  static_assert(std::is_trivially_copyable_v<Options> && alignof(Options) == alignof(std::size_t));
  Options options{};
  if (given == nullptr) return options;
  ELMS_ASSIGN_OR_RETURN(const std::size_t size, read_struct_size(given, name));
  const auto* bytes = reinterpret_cast<const unsigned char*>(given);
  for (std::size_t i = sizeof(Options); i < size; ++i) {
    if (bytes[i] != 0) return invalid_argument(name, ": field at byte ", i, " is set, which this version of elms does not know");
  }
  std::memcpy(&options, given, size < sizeof(Options) ? size : sizeof(Options));
  return options;
}

/// An array of structs, whose step is the struct_size of its elements.
template <typename Element>
Result<std::vector<Element>> read_list(const Element* given, std::size_t n, std::string_view name) {
  std::vector<Element> list;
  if (n == 0) return list;
  if (given == nullptr) return invalid_argument(name, ": a null pointer to ", n);
  ELMS_ASSIGN_OR_RETURN(const std::size_t step, read_struct_size(given, name));
  const auto* bytes = reinterpret_cast<const unsigned char*>(given);
  for (std::size_t i = 0; i < n; ++i) {
    const auto* element = reinterpret_cast<const Element*>(bytes + i * step);
    ELMS_ASSIGN_OR_RETURN(const std::size_t size, read_struct_size(element, name));
    if (size != step) return invalid_argument(name, " ", i, ": struct_size is ", size, ", that of the first is ", step);
    ELMS_ASSIGN_OR_RETURN(const Element read, read_options(element, name));
    list.push_back(read);
  }
  return list;
}

/// Fills a struct of the caller's as far as its struct_size goes.
template <typename Struct>
Status write_struct(const Struct& value, Struct* out, std::string_view name) {
  static_assert(std::is_trivially_copyable_v<Struct>);
  if (out == nullptr) return invalid_argument(name, ": nowhere to write it");
  ELMS_ASSIGN_OR_RETURN(const std::size_t size, read_struct_size(out, name));
  auto* to = reinterpret_cast<unsigned char*>(out);
  const auto* from = reinterpret_cast<const unsigned char*>(&value);
  const std::size_t known = std::min(size, sizeof(Struct));
  std::memcpy(to + sizeof size, from + sizeof size, known - sizeof size);
  if (size > known) std::memset(to + known, 0, size - known);
  return {};
}

/// A value of an enum of elms.h, of which `last` is the highest.
inline Result<std::int32_t> read_choice(std::int32_t value, std::int32_t last, std::string_view name) {
  if (value < 0 || value > last) return invalid_argument(name, ": ", value, ", expected 0 to ", last);
  return value;
}

/// Texts that end with 0.
inline Result<std::vector<std::string>> read_texts(const char* const* given, std::size_t n, std::string_view name) {
  std::vector<std::string> texts;
  if (given == nullptr && n != 0) return invalid_argument(name, ": a null pointer to ", n, " texts");
  for (std::size_t i = 0; i < n; ++i) {
    if (given[i] == nullptr) return invalid_argument(name, ": text ", i, " is a null pointer");
    texts.emplace_back(given[i]);
  }
  return texts;
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

/// The caller's function for pieces of text; empty for none.
inline std::function<Flow(std::string_view)> text_sink(elms_on_text on_text, void* user_data) {
  if (on_text == nullptr) return {};
  return [on_text, user_data](std::string_view piece) {
    return on_text(user_data, piece.data(), piece.size()) == ELMS_STOP ? Flow::kStop : Flow::kContinue;
  };
}

inline const CancelToken* token_of(const elms_cancel* cancel) noexcept { return cancel == nullptr ? nullptr : &cancel->token; }

}  // namespace elms::inline v0::detail
