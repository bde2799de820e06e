#include "io/safetensors.hpp"

#include <algorithm>
#include <cstring>
#include <functional>
#include <limits>
#include <utility>

#include "elms/detail/error.hpp"
#include "io/safetensors_header.hpp"

namespace elms::inline v0::detail {
namespace {

using Entry = SafetensorsFile::Entry;

constexpr std::uint64_t kLengthBytes = 8;
constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;  // the reference implementation's own limit

struct ElementType {
  std::string_view name;
  std::uint64_t bytes;
  std::optional<DType> readable;
};
constexpr ElementType kElementTypes[] = {
    {"F32", 4, DType::kF32}, {"F16", 2, DType::kF16}, {"BF16", 2, DType::kBF16},
    {"F64", 8, {}},          {"I64", 8, {}},          {"I32", 4, {}},
    {"I16", 2, {}},          {"I8", 1, {}},           {"U8", 1, {}},
    {"BOOL", 1, {}},         {"U16", 2, {}},          {"U32", 4, {}},
    {"U64", 8, {}},          {"C64", 8, {}},          {"F8_E4M3", 1, {}},
    {"F8_E5M2", 1, {}},      {"F8_E8M0", 1, {}},
};

const ElementType* find_element_type(std::string_view name) {
  const auto* found = std::find_if(std::begin(kElementTypes), std::end(kElementTypes),
                                   [&](const ElementType& type) { return type.name == name; });
  return found == std::end(kElementTypes) ? nullptr : found;
}

// Nothing when it does not fit 64 bits.
std::optional<std::uint64_t> byte_size(const Entry& entry, std::uint64_t element_bytes) {
  std::uint64_t bytes = element_bytes;
  for (const std::uint64_t size : entry.shape) {
    if (size != 0 && bytes > std::numeric_limits<std::uint64_t>::max() / size) return std::nullopt;
    bytes *= size;
  }
  return bytes;
}

// Types that elms does not know are only located: whether the model needs them is for the caller to say.
Status check_entry(const std::string& file, const Entry& entry, std::uint64_t data_bytes) {
  if (entry.begin > entry.end || entry.end > data_bytes) {
    return malformed(file, ": tensor ", entry.name, ": data_offsets: expected a range inside the ",
                     data_bytes, " bytes of data, found ", entry.begin, " to ", entry.end);
  }
  const ElementType* type = find_element_type(entry.type);
  if (type == nullptr) return {};
  const std::optional<std::uint64_t> bytes = byte_size(entry, type->bytes);
  if (bytes == entry.end - entry.begin) return {};
  return malformed(file, ": tensor ", entry.name, ": expected ",
                   bytes.has_value() ? std::to_string(*bytes) : "over 2^64", " bytes for its shape and type ",
                   entry.type, ", found ", entry.end - entry.begin);
}

Status check_coverage(const std::string& file, std::span<const Entry> entries, std::uint64_t data_bytes) {
  std::uint64_t reached = 0;
  for (const Entry& entry : entries) {
    if (entry.begin != reached) {
      return malformed(file, ": tensor ", entry.name, ": expected its data to begin at ", reached,
                       ", where the tensor before it ends, found ", entry.begin);
    }
    reached = entry.end;
  }
  if (reached == data_bytes) return {};
  return malformed(file, ": expected the tensors to cover the ", data_bytes,
                   " bytes of data, found the last to end at ", reached);
}

Result<std::string_view> header_text(std::span<const std::uint8_t> bytes, const std::string& file) {
  if (bytes.size() < kLengthBytes) {
    return malformed(file, ": expected a safetensors file of at least ", kLengthBytes, " bytes, found ",
                     bytes.size());
  }
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), kLengthBytes);
  const std::uint64_t limit = std::min<std::uint64_t>(bytes.size() - kLengthBytes, kMaxHeaderBytes);
  if (length > limit) {
    return malformed(file, ": header length at offset 0: expected at most ", limit, ", found ", length);
  }
  return std::string_view(reinterpret_cast<const char*>(bytes.data()) + kLengthBytes, length);
}

}  // namespace

Result<SafetensorsFile> SafetensorsFile::open(const std::string& path) {
  ELMS_ASSIGN_OR_RETURN(FileMapping mapping, FileMapping::open(path));
  ELMS_ASSIGN_OR_RETURN(SafetensorsFile file, parse(mapping.bytes(), path));
  file.mapping_.emplace(std::move(mapping));
  return file;
}

Result<SafetensorsFile> SafetensorsFile::parse(std::span<const std::uint8_t> bytes, std::string name) {
  ELMS_ASSIGN_OR_RETURN(const std::string_view header, header_text(bytes, name));
  SafetensorsFile file;
  file.bytes_ = bytes;
  file.name_ = std::move(name);
  ELMS_ASSIGN_OR_RETURN(file.entries_, parse_safetensors_header(header, file.name_));

  const std::span<const std::uint8_t> data = bytes.subspan(kLengthBytes + header.size());
  for (const Entry& entry : file.entries_) ELMS_RETURN_IF_ERROR(check_entry(file.name_, entry, data.size()));
  std::stable_sort(file.entries_.begin(), file.entries_.end(), [](const Entry& a, const Entry& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  ELMS_RETURN_IF_ERROR(check_coverage(file.name_, file.entries_, data.size()));

  file.tensors_.reserve(file.entries_.size());
  for (Entry& entry : file.entries_) {
    const ElementType* type = find_element_type(entry.type);
    file.tensors_.push_back({entry.name, entry.type, type == nullptr ? std::nullopt : type->readable,
                             std::move(entry.shape), data.subspan(entry.begin, entry.end - entry.begin)});
  }
  return file;
}

void SafetensorsFile::release(std::span<const std::uint8_t> part) const noexcept {
  const std::less<const std::uint8_t*> before;
  if (!mapping_.has_value() || before(part.data(), bytes_.data()) ||
      before(bytes_.data() + bytes_.size(), part.data() + part.size())) {
    return;
  }
  mapping_->release(static_cast<std::size_t>(part.data() - bytes_.data()), part.size());
}

}  // namespace elms::inline v0::detail
