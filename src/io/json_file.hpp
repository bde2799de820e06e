// JSON files of a checkpoint: bounded in size and depth, read by key with errors that name file and key.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "elms/detail/file_mapping.hpp"
#include "elms/status.hpp"
#include "io/json_document.hpp"

namespace elms::inline v0::detail {

/// A value of any shape; kMalformedFile for what is no JSON or nests too deeply. `name` stands for the file in messages.
[[nodiscard]] Result<JsonDocument> parse_json(std::string_view text, const std::string& name);

/// An object inside a parsed document, which must outlive it. Getters: a missing key (or null) is kNotFound,
/// a value of another type or out of range kMalformedFile.
class JsonObject {
 public:
  JsonObject(const nlohmann::json& value, std::string where) : value_(&value), where_(std::move(where)) {}

  /// Present and not null.
  [[nodiscard]] bool has(std::string_view key) const { return find(key) != nullptr; }
  /// Null when absent or null.
  [[nodiscard]] const nlohmann::json* find(std::string_view key) const;
  [[nodiscard]] const nlohmann::json& value() const { return *value_; }

  [[nodiscard]] Result<std::int32_t> count(std::string_view key) const;  ///< a size: 1 to 2^31 - 1
  [[nodiscard]] Result<double> real(std::string_view key) const;         ///< any number
  [[nodiscard]] Result<bool> boolean(std::string_view key) const;
  [[nodiscard]] Result<std::string_view> string(std::string_view key) const;
  [[nodiscard]] Result<JsonObject> object(std::string_view key) const;

  [[nodiscard]] Result<std::int32_t> count_or(std::string_view key, std::int32_t otherwise) const;
  [[nodiscard]] Result<double> real_or(std::string_view key, double otherwise) const;
  [[nodiscard]] Result<bool> boolean_or(std::string_view key, bool otherwise) const;

  /// "FILE: key a.b" for messages.
  [[nodiscard]] std::string at(std::string_view key) const;

 private:
  [[nodiscard]] Status wrong_type(std::string_view key, std::string_view expected) const;

  const nlohmann::json* value_;
  std::string where_;  ///< "FILE: key " and the keys that lead here, each with a dot
};

/// A document whose top is an object.
class JsonFile {
 public:
  /// kNotFound, kIoError; kMalformedFile for what is no JSON object, is longer than max_bytes or nests too
  /// deeply.
  [[nodiscard]] static Result<JsonFile> open(const std::string& path, std::uint64_t max_bytes);
  /// The same of text in memory; `name` stands for the file in messages.
  [[nodiscard]] static Result<JsonFile> parse(std::string_view text, std::string name);

  [[nodiscard]] JsonObject top() const;
  [[nodiscard]] const std::string& name() const noexcept { return name_; }

 private:
  JsonDocument document_;
  std::string name_;
};

}  // namespace elms::inline v0::detail
