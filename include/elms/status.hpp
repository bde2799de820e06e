// Errors as values: Status (a code and a sentence) and Result<T> (a value or a Status).
//
// elms never throws, aborts, exits or prints. Every call that can fail returns one of these two. They work the same
// in host code built with and without exceptions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace elms::inline v0 {

/// What kind of failure a Status reports. Values are stable; new ones are added at the end.
enum class StatusCode : std::uint8_t {
  kOk = 0,
  kInvalidArgument,  ///< the caller passed something that can never work
  kNotFound,         ///< a file, key, tensor or level does not exist
  kIoError,          ///< the operating system refused to read or write
  kMalformedFile,    ///< the bytes of a file contradict its format
  kUnsupported,      ///< valid, but elms cannot run it (architecture, type, tokenizer, CPU)
  kOutOfMemory,      ///< an allocation failed; nothing was changed
  kOutOfContext,     ///< the session's KV cache has no room for the tokens
  kCancelled,        ///< a cancel token or a callback asked to stop
  kInternal,         ///< a broken invariant inside elms: please report it
  kUnavailable,      ///< not now: a service's queue is full; asking again later may work
};

/// Name of a code in words, e.g. "malformed file". Never null; static storage.
[[nodiscard]] constexpr const char* to_string(StatusCode code) noexcept {
  switch (code) {
    case StatusCode::kOk: return "ok";
    case StatusCode::kInvalidArgument: return "invalid argument";
    case StatusCode::kNotFound: return "not found";
    case StatusCode::kIoError: return "i/o error";
    case StatusCode::kMalformedFile: return "malformed file";
    case StatusCode::kUnsupported: return "unsupported";
    case StatusCode::kOutOfMemory: return "out of memory";
    case StatusCode::kOutOfContext: return "out of context";
    case StatusCode::kCancelled: return "cancelled";
    case StatusCode::kInternal: return "internal error";
    case StatusCode::kUnavailable: return "unavailable";
  }
  return "unknown";
}

/// Success, or a code with a message that names file, tensor, offset, what was expected and what was found.
class [[nodiscard]] Status {
 public:
  Status() noexcept = default;
  Status(StatusCode code, std::string message) noexcept : code_(code), message_(std::move(message)) {}

  [[nodiscard]] bool ok() const noexcept { return code_ == StatusCode::kOk; }
  [[nodiscard]] StatusCode code() const noexcept { return code_; }
  [[nodiscard]] const std::string& message() const noexcept { return message_; }

 private:
  StatusCode code_ = StatusCode::kOk;
  std::string message_;
};

/// A T, or the Status that says why there is none. Move-only values are fine.
/// Dereferencing a Result without a value is undefined: test it first.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) noexcept : value_(std::move(value)) {}  // NOLINT: implicit, so that `return value;` works
  Result(Status error) noexcept : error_(std::move(error)) {  // NOLINT: implicit, so that `return status;` works
    if (error_.ok()) error_ = Status(StatusCode::kInternal, "a Result was made from an ok Status");
  }

  [[nodiscard]] bool has_value() const noexcept { return value_.has_value(); }
  explicit operator bool() const noexcept { return value_.has_value(); }

  [[nodiscard]] T& operator*() & noexcept { return *value_; }
  [[nodiscard]] const T& operator*() const& noexcept { return *value_; }
  [[nodiscard]] T&& operator*() && noexcept { return *std::move(value_); }
  [[nodiscard]] T* operator->() noexcept { return &*value_; }
  [[nodiscard]] const T* operator->() const noexcept { return &*value_; }

  /// The failure; an ok Status when there is a value.
  [[nodiscard]] const Status& error() const& noexcept { return error_; }
  [[nodiscard]] Status&& error() && noexcept { return std::move(error_); }

 private:
  std::optional<T> value_;
  Status error_;
};

}  // namespace elms::inline v0
