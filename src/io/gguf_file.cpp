// Lookup in a parsed GGUF file and typed access to its metadata. The parser checked everything against the
// file's size; here types and ranges are checked.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <new>

#include "elms/detail/error.hpp"
#include "elms/detail/gguf.hpp"
#include "io/gguf_format.hpp"

namespace elms::inline v0::detail {

namespace {

template <typename T>
T load(const std::uint8_t* at) noexcept {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

/// False for types that are no integers, and for an uint64 above the largest int64.
bool load_integer(GgufType type, const std::uint8_t* at, std::int64_t& out) noexcept {
  switch (type) {
    case GgufType::kUint8:
      out = *at;
      return true;
    case GgufType::kInt8:
      out = load<std::int8_t>(at);  // NOLINT(bugprone-signed-char-misuse): a number, not a character
      return true;
    case GgufType::kUint16:
      out = load<std::uint16_t>(at);
      return true;
    case GgufType::kInt16:
      out = load<std::int16_t>(at);
      return true;
    case GgufType::kUint32:
      out = load<std::uint32_t>(at);
      return true;
    case GgufType::kInt32:
      out = load<std::int32_t>(at);
      return true;
    case GgufType::kInt64:
      out = load<std::int64_t>(at);
      return true;
    case GgufType::kUint64: {
      const auto value = load<std::uint64_t>(at);
      out = static_cast<std::int64_t>(value);
      return value <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    }
    default:
      return false;
  }
}

bool load_real(GgufType type, const std::uint8_t* at, double& out) noexcept {
  switch (type) {
    case GgufType::kFloat32:
      out = load<float>(at);
      return true;
    case GgufType::kFloat64:
      out = load<double>(at);
      return true;
    default:
      return false;
  }
}

/// False for a finite number that no float can hold.
bool load_float(GgufType type, const std::uint8_t* at, float& out) noexcept {
  double value = 0;
  if (!load_real(type, at, value)) return false;
  if (std::isfinite(value) && std::fabs(value) > static_cast<double>(std::numeric_limits<float>::max()))
    return false;
  out = static_cast<float>(value);
  return true;
}

/// Length-prefixed text at `at`; moves past it.
std::string_view load_string(const std::uint8_t*& at) noexcept {
  const auto length = static_cast<std::size_t>(load<std::uint64_t>(at));
  const std::string_view text(reinterpret_cast<const char*>(at + sizeof(std::uint64_t)), length);
  at += sizeof(std::uint64_t) + length;
  return text;
}

/// By binary search in `index`, which lists the items in the order of what `name` makes of each.
template <typename T, typename Name>
const T* find_sorted(std::span<const T> items, std::span<const std::uint32_t> index, std::string_view wanted,
                     Name name) noexcept {
  const auto at =
      std::lower_bound(index.begin(), index.end(), wanted,
                       [&](std::uint32_t i, std::string_view key) { return name(items[i]) < key; });
  return at != index.end() && name(items[*at]) == wanted ? &items[*at] : nullptr;
}

std::string describe(const GgufValue& value) {
  if (value.type != GgufType::kArray) return std::string(gguf_type_name(value.type));
  return concat("an array of ", value.count, ' ', gguf_type_name(value.element_type));
}

Result<const GgufValue*> require_key(const GgufFile& file, std::string_view key) {
  const GgufValue* value = file.find(key);
  if (value == nullptr)
    return error(StatusCode::kNotFound, file.name(), ": key ", quoted(key), " is missing");
  return value;
}

/// vector::reserve as a Status. Without exceptions a vector ends the process when memory is short, so memory
/// is asked for in a way that may say no first.
template <typename T>
Status reserve(std::vector<T>& out, const GgufValue& value) {
  void* probe = value.count <= out.max_size()
                    ? ::operator new(static_cast<std::size_t>(value.count) * sizeof(T), std::nothrow)
                    : nullptr;
  if (probe == nullptr) {
    return error(StatusCode::kOutOfMemory, "cannot allocate ", value.count, " elements of key ",
                 quoted(value.key));
  }
  ::operator delete(probe);
  out.reserve(static_cast<std::size_t>(value.count));
  return {};
}

Status wrong_value(const GgufFile& file, const GgufValue& value, const std::uint8_t* at,
                   const char* expected) {
  return malformed(file.name(), ": key ", quoted(value.key), " at byte ", file.offset_of(at), ": expected ",
                   expected, ", found ", describe(value));
}

/// A scalar or array as numbers; `load` returns false for an element that is none or does not fit.
template <typename T, typename Load>
Result<std::vector<T>> load_numbers(const GgufFile& file, std::string_view key, Load load,
                                    const char* expected) {
  ELMS_ASSIGN_OR_RETURN(const GgufValue* value, require_key(file, key));
  std::vector<T> out;
  ELMS_RETURN_IF_ERROR(reserve(out, *value));
  const std::uint8_t* at = value->bytes.data();
  for (std::uint64_t i = 0; i < value->count; ++i, at += gguf_scalar_bytes(value->element_type)) {
    T number = 0;
    if (!load(value->element_type, at, number)) return wrong_value(file, *value, at, expected);
    out.push_back(number);
  }
  return out;
}

}  // namespace

const GgufValue* GgufFile::find(std::string_view key) const noexcept {
  return find_sorted<GgufValue>(values_, values_by_key_, key,
                                [](const GgufValue& value) { return value.key; });
}

const GgufTensor* GgufFile::find_tensor(std::string_view name) const noexcept {
  return find_sorted<GgufTensor>(tensors_, tensors_by_name_, name,
                                 [](const GgufTensor& tensor) { return tensor.name; });
}

void GgufFile::release(std::span<const std::uint8_t> part) const noexcept {
  if (!mapping_.has_value() || part.empty()) return;
  mapping_->release(static_cast<std::size_t>(offset_of(part.data())), part.size());
}

Result<std::int64_t> GgufFile::integer(std::string_view key) const {
  ELMS_ASSIGN_OR_RETURN(const GgufValue* value, require_key(*this, key));
  std::int64_t number = 0;
  if (!load_integer(value->type, value->bytes.data(), number))
    return wrong_value(*this, *value, value->bytes.data(), "an integer below 2^63");
  return number;
}

Result<double> GgufFile::real(std::string_view key) const {
  ELMS_ASSIGN_OR_RETURN(const GgufValue* value, require_key(*this, key));
  double number = 0;
  if (!load_real(value->type, value->bytes.data(), number))
    return wrong_value(*this, *value, value->bytes.data(), "a float32 or float64");
  return number;
}

Result<bool> GgufFile::boolean(std::string_view key) const {
  ELMS_ASSIGN_OR_RETURN(const GgufValue* value, require_key(*this, key));
  if (value->type != GgufType::kBool) return wrong_value(*this, *value, value->bytes.data(), "a bool");
  return value->bytes[0] != 0;
}

Result<std::string_view> GgufFile::string(std::string_view key) const {
  ELMS_ASSIGN_OR_RETURN(const GgufValue* value, require_key(*this, key));
  if (value->type != GgufType::kString) return wrong_value(*this, *value, value->bytes.data(), "a string");
  const std::uint8_t* at = value->bytes.data();
  return load_string(at);
}

Result<std::vector<std::int64_t>> GgufFile::integers(std::string_view key) const {
  return load_numbers<std::int64_t>(*this, key, load_integer, "integers below 2^63");
}

Result<std::vector<float>> GgufFile::reals(std::string_view key) const {
  return load_numbers<float>(*this, key, load_float, "float32 or float64 in the range of float32");
}

Result<std::vector<std::string_view>> GgufFile::strings(std::string_view key) const {
  ELMS_ASSIGN_OR_RETURN(const GgufValue* value, require_key(*this, key));
  if (value->element_type != GgufType::kString)
    return wrong_value(*this, *value, value->bytes.data(), "strings");
  std::vector<std::string_view> out;
  ELMS_RETURN_IF_ERROR(reserve(out, *value));
  const std::uint8_t* at = value->bytes.data();
  for (std::uint64_t i = 0; i < value->count; ++i) out.push_back(load_string(at));
  return out;
}

}  // namespace elms::inline v0::detail
