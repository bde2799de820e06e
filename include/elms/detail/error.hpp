// Making and passing on errors inside elms. Not part of the public API.
#pragma once

#include <concepts>
#include <cstdio>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "elms/detail/out_of_memory.hpp"
#include "elms/status.hpp"

namespace elms::inline v0::detail {

inline void append_piece(std::string& out, std::string_view piece) { out.append(piece); }
inline void append_piece(std::string& out, const char* piece) { out.append(piece); }
inline void append_piece(std::string& out, char piece) { out.push_back(piece); }
inline void append_piece(std::string& out, double piece) {
  char digits[32];
  std::snprintf(digits, sizeof digits, "%g", piece);
  out.append(digits);
}
template <std::integral T>
void append_piece(std::string& out, T piece) {
  out.append(std::to_string(piece));
}

/// Joins strings and numbers: concat("layer ", 3, ": expected ", n).
template <typename... Pieces>
[[nodiscard]] std::string concat(const Pieces&... pieces) {
  std::string out;
  (append_piece(out, pieces), ...);
  return out;
}

/// kOutOfMemory where there is none for the message.
template <typename... Pieces>
[[nodiscard]] Status error(StatusCode code, const Pieces&... pieces) noexcept {
  return or_out_of_memory([&] { return Status(code, concat(pieces...)); });
}
template <typename... Pieces>
[[nodiscard]] Status invalid_argument(const Pieces&... pieces) noexcept {
  return error(StatusCode::kInvalidArgument, pieces...);
}
template <typename... Pieces>
[[nodiscard]] Status malformed(const Pieces&... pieces) noexcept {
  return error(StatusCode::kMalformedFile, pieces...);
}
template <typename... Pieces>
[[nodiscard]] Status unsupported(const Pieces&... pieces) noexcept {
  return error(StatusCode::kUnsupported, pieces...);
}

inline Status to_status(Status status) { return status; }
template <typename T>
Status to_status(const Result<T>& result) {
  return result.error();
}

}  // namespace elms::inline v0::detail

#define ELMS_CONCAT_NAMES_INNER(a, b) a##b
#define ELMS_CONCAT_NAMES(a, b) ELMS_CONCAT_NAMES_INNER(a, b)

/// Returns from the enclosing function when `expression` (a Status) is not ok.
#define ELMS_RETURN_IF_ERROR(expression)                            \
  do {                                                              \
    if (::elms::Status elms_status_ = (expression); !elms_status_.ok()) return elms_status_; \
  } while (false)

/// `ELMS_ASSIGN_OR_RETURN(auto x, f());`: x becomes the value of the Result, or the error is returned.
#define ELMS_ASSIGN_OR_RETURN(declaration, expression) \
  ELMS_ASSIGN_OR_RETURN_INNER(ELMS_CONCAT_NAMES(elms_result_, __LINE__), declaration, expression)
#define ELMS_ASSIGN_OR_RETURN_INNER(result, declaration, expression) \
  auto result = (expression);                                        \
  if (!result.has_value()) return std::move(result).error();         \
  declaration = std::move(*result)
