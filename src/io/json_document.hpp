// JSON as nlohmann::json has it, made and taken apart so that running out of memory does no harm.
#pragma once

#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

namespace elms::inline v0::detail {

/// Owns a value. nlohmann::json takes memory to give containers back, in a destructor, which ends the process where there
/// is none; this empties them first, from the leaves up.
class JsonDocument {
 public:
  JsonDocument() = default;
  JsonDocument(JsonDocument&& other) noexcept : root_(std::move(other.root_)) {}
  JsonDocument& operator=(JsonDocument&& other) noexcept {
    root_.swap(other.root_);
    return *this;
  }
  ~JsonDocument() { take_apart(root_); }

  /// False for what is no JSON; there is some of it then. The depth of nesting is up to the caller.
  [[nodiscard]] bool parse(std::string_view text);

  [[nodiscard]] const nlohmann::json& root() const noexcept { return root_; }
  [[nodiscard]] nlohmann::json take() && noexcept { return std::move(root_); }

  static void take_apart(nlohmann::json& value) noexcept;

 private:
  nlohmann::json root_;
};

}  // namespace elms::inline v0::detail
