#include "io/json_file.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "elms/detail/error.hpp"

namespace elms::inline v0::detail {
namespace {

using nlohmann::json;

// Real files nest three or four levels; a bomb nests as many as it has bytes.
constexpr int kMaxDepth = 32;

// Deepest nesting of brackets outside strings. Only an upper bound of what a parser would do with broken
// text, which is all that a limit needs.
int nesting(std::string_view text) {
  int depth = 0, deepest = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      deepest = std::max(deepest, ++depth);
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return deepest;
}

}  // namespace

const json* JsonObject::find(std::string_view key) const {
  const auto found = value_->find(key);
  return found == value_->end() || found->is_null() ? nullptr : &*found;
}

std::string JsonObject::at(std::string_view key) const {
  return concat(where_, key);
}

Status JsonObject::wrong_type(std::string_view key, std::string_view expected) const {
  const json* found = find(key);
  if (found == nullptr) return error(StatusCode::kNotFound, at(key), " is missing");
  return malformed(at(key), ": expected ", expected, ", found ",
                   found->is_number() ? found->dump() : std::string(found->type_name()));
}

Result<std::int32_t> JsonObject::count(std::string_view key) const {
  const json* found = find(key);
  constexpr auto kMax = static_cast<std::uint64_t>(std::numeric_limits<std::int32_t>::max());
  const auto* number = found == nullptr ? nullptr : found->get_ptr<const json::number_unsigned_t*>();
  if (number != nullptr && *number >= 1 && *number <= kMax) return static_cast<std::int32_t>(*number);
  return wrong_type(key, concat("a whole number from 1 to ", kMax));
}

Result<double> JsonObject::real(std::string_view key) const {
  if (const json* found = find(key); found != nullptr) {
    if (const auto* number = found->get_ptr<const json::number_float_t*>()) return *number;
    if (const auto* number = found->get_ptr<const json::number_unsigned_t*>())
      return static_cast<double>(*number);
    if (const auto* number = found->get_ptr<const json::number_integer_t*>())
      return static_cast<double>(*number);
  }
  return wrong_type(key, "a number");
}

Result<bool> JsonObject::boolean(std::string_view key) const {
  const json* found = find(key);
  if (const auto* flag = found == nullptr ? nullptr : found->get_ptr<const json::boolean_t*>()) return *flag;
  return wrong_type(key, "true or false");
}

Result<std::string_view> JsonObject::string(std::string_view key) const {
  const json* found = find(key);
  if (const auto* text = found == nullptr ? nullptr : found->get_ptr<const json::string_t*>()) {
    return std::string_view(*text);
  }
  return wrong_type(key, "a string");
}

Result<JsonObject> JsonObject::object(std::string_view key) const {
  const json* found = find(key);
  if (found != nullptr && found->is_object()) return JsonObject(*found, concat(where_, key, "."));
  return wrong_type(key, "an object");
}

Result<std::int32_t> JsonObject::count_or(std::string_view key, std::int32_t otherwise) const {
  if (!has(key)) return otherwise;
  return count(key);
}

Result<double> JsonObject::real_or(std::string_view key, double otherwise) const {
  if (!has(key)) return otherwise;
  return real(key);
}

Result<bool> JsonObject::boolean_or(std::string_view key, bool otherwise) const {
  if (!has(key)) return otherwise;
  return boolean(key);
}

Result<JsonFile> JsonFile::open(const std::string& path, std::uint64_t max_bytes) {
  ELMS_ASSIGN_OR_RETURN(const FileMapping file, FileMapping::open(path));
  const std::span<const std::uint8_t> bytes = file.bytes();
  if (bytes.size() > max_bytes) {
    return malformed(path, ": expected a JSON file of at most ", max_bytes, " bytes, found ", bytes.size());
  }
  return parse({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, path);
}

Result<JsonDocument> parse_json(std::string_view text, const std::string& name) {
  if (const int depth = nesting(text); depth > kMaxDepth) {
    return malformed(name, ": expected JSON nested at most ", kMaxDepth, " levels deep, found ", depth);
  }
  JsonDocument document;
  if (!document.parse(text)) return malformed(name, ": the file is not valid JSON");
  return document;
}

Result<JsonFile> JsonFile::parse(std::string_view text, std::string name) {
  JsonFile file;
  ELMS_ASSIGN_OR_RETURN(file.document_, parse_json(text, name));
  if (!file.document_.root().is_object()) {
    return malformed(name, ": expected a JSON object, found ", file.document_.root().type_name());
  }
  file.name_ = std::move(name);
  return file;
}

JsonObject JsonFile::top() const {
  return {document_.root(), concat(name_, ": key ")};
}

}  // namespace elms::inline v0::detail
