// Parses a GGUF header. Nothing is allocated until the whole header has been walked once and every count and
// length in it was found to lie inside the file, so a hostile count costs nothing. The second walk fills
// tables of exactly the right size; arrays and tensors stay where they are.
#include <algorithm>
#include <cstring>
#include <limits>
#include <numeric>
#include <utility>

#include "elms/detail/error.hpp"
#include "elms/detail/gguf.hpp"
#include "io/gguf_format.hpp"

namespace elms::inline v0::detail {

namespace {

// The fewest bytes that one of these can take: a bound on counts before anything is read.
constexpr std::size_t kMinStringBytes = 8;                       // length
constexpr std::size_t kMinArrayBytes = 4 + 8;                    // element type, count
constexpr std::size_t kMinValueBytes = kMinStringBytes + 4 + 1;  // key, type, one byte
constexpr std::size_t kMinTensorBytes =
    kMinStringBytes + 4 + 8 + 4 + 8;  // name, n_dims, one dim, type, offset
constexpr int kMaxArrayNesting = 8;

/// What is being read, for messages. Text is joined only when something is wrong.
struct Subject {
  const char* kind;  ///< "key", "tensor", "header"
  std::string_view name;
};

/// The numbers 0 .. items.size(), sorted by what `name` makes of each item; equal names keep the file's
/// order.
template <typename T, typename Name>
Result<Buffer<std::uint32_t>> sorted_index(const Buffer<T>& items, Name name) {
  ELMS_ASSIGN_OR_RETURN(Buffer<std::uint32_t> index, Buffer<std::uint32_t>::uninitialized(items.size()));
  std::iota(index.data(), index.data() + index.size(), 0u);
  std::sort(index.data(), index.data() + index.size(), [&](std::uint32_t a, std::uint32_t b) {
    const auto name_a = name(items[a]);
    const auto name_b = name(items[b]);
    return name_a != name_b ? name_a < name_b : a < b;
  });
  return index;
}

std::string_view key_of(const GgufValue& value) noexcept {
  return value.key;
}
std::string_view name_of(const GgufTensor& tensor) noexcept {
  return tensor.name;
}
const std::uint8_t* data_of(const GgufTensor& tensor) noexcept {
  return tensor.data.data();
}

}  // namespace

class GgufParser {
 public:
  GgufParser(std::span<const std::uint8_t> bytes, GgufFile& file) noexcept : bytes_(bytes), file_(file) {}

  Status parse() {
    ELMS_RETURN_IF_ERROR(read_header());
    const std::size_t first_value = position_;
    ELMS_RETURN_IF_ERROR(walk_values(nullptr));
    const std::size_t first_tensor = position_;
    ELMS_RETURN_IF_ERROR(walk_tensors(nullptr));
    infos_end_ = position_;

    position_ = first_value;
    ELMS_ASSIGN_OR_RETURN(file_.values_, Buffer<GgufValue>::uninitialized(n_values_));
    ELMS_RETURN_IF_ERROR(walk_values(file_.values_.data()));
    ELMS_RETURN_IF_ERROR(index_values());
    ELMS_RETURN_IF_ERROR(read_alignment());

    position_ = first_tensor;
    ELMS_ASSIGN_OR_RETURN(file_.tensors_, Buffer<GgufTensor>::uninitialized(n_tensors_));
    ELMS_RETURN_IF_ERROR(walk_tensors(file_.tensors_.data()));
    ELMS_RETURN_IF_ERROR(index_tensors());
    return check_overlaps();
  }

 private:
  [[nodiscard]] std::size_t remaining() const noexcept { return bytes_.size() - position_; }

  template <typename... Pieces>
  Status fail(StatusCode code, const Subject& subject, std::size_t at, const Pieces&... pieces) const {
    std::string place = concat(file_.name(), ": ", subject.kind);
    if (subject.name.data() != nullptr) place += concat(' ', quoted(subject.name));
    return error(code, place, " at byte ", at, ": ", pieces...);
  }
  template <typename... Pieces>
  Status bad(const Subject& subject, std::size_t at, const Pieces&... pieces) const {
    return fail(StatusCode::kMalformedFile, subject, at, pieces...);
  }

  /// `count` items of at least `item_bytes` each must follow.
  Status require(const Subject& subject, const char* what, std::uint64_t count,
                 std::size_t item_bytes) const {
    if (count <= remaining() / item_bytes) return {};
    const bool one = count == 1;
    return bad(subject, position_, "expected ", one ? std::string() : concat(count, " times "), "at least ",
               item_bytes, " bytes for the ", what, ", found ", remaining(),
               " bytes before the end of the file");
  }

  template <typename T>
  Status read(const Subject& subject, const char* what, T& value) {
    ELMS_RETURN_IF_ERROR(require(subject, what, 1, sizeof value));
    std::memcpy(&value, bytes_.data() + position_, sizeof value);
    position_ += sizeof value;
    return {};
  }

  /// The span of `size` bytes that follow; the caller has required them.
  std::span<const std::uint8_t> take(std::size_t size) noexcept {
    const std::span<const std::uint8_t> part = bytes_.subspan(position_, size);
    position_ += size;
    return part;
  }

  Status skip_string(const Subject& subject, const char* what) {
    std::uint64_t length = 0;
    ELMS_RETURN_IF_ERROR(read(subject, what, length));
    ELMS_RETURN_IF_ERROR(require(subject, what, length, 1));
    position_ += static_cast<std::size_t>(length);
    return {};
  }

  /// A key or a tensor's name.
  Status read_name(const char* kind, std::string_view& name) {
    const Subject subject{kind, {}};
    const std::size_t at = position_;
    std::uint64_t length = 0;
    ELMS_RETURN_IF_ERROR(read(subject, "length of its name", length));
    if (length > kGgufMaxNameBytes) {
      return bad(subject, at, "expected a name of at most ", kGgufMaxNameBytes, " bytes, found ", length);
    }
    ELMS_RETURN_IF_ERROR(require(subject, "name", length, 1));
    const std::span<const std::uint8_t> text = take(static_cast<std::size_t>(length));
    name = std::string_view(reinterpret_cast<const char*>(text.data()), text.size());
    return {};
  }

  Status read_header();
  Status read_value_type(const Subject& subject, const char* what, GgufType& type);
  Status check_bools(const Subject& subject, std::uint64_t count) const;
  Status skip_elements(const Subject& subject, GgufType type, std::uint64_t count, int nesting);
  Status read_value(GgufValue& value);
  Status walk_values(GgufValue* out);
  Status read_dims(const Subject& subject, GgufTensor& tensor);
  Status read_tensor(GgufTensor& tensor, std::uint64_t& size_bytes, std::uint64_t& offset);
  Status locate(GgufTensor& tensor, std::uint64_t size_bytes, std::uint64_t offset) const;
  Status walk_tensors(GgufTensor* out);
  Status index_values();
  Status index_tensors();
  Status read_alignment();
  Status check_overlaps() const;

  std::span<const std::uint8_t> bytes_;
  GgufFile& file_;
  std::size_t position_ = 0;
  std::size_t n_values_ = 0;
  std::size_t n_tensors_ = 0;
  std::size_t infos_end_ = 0;
};

Status GgufParser::read_header() {
  const Subject header{"header", {}};
  ELMS_RETURN_IF_ERROR(require(header, "magic", 1, kGgufMagic.size()));
  const std::span<const std::uint8_t> found = take(kGgufMagic.size());
  const std::string_view magic(reinterpret_cast<const char*>(found.data()), found.size());
  if (magic != kGgufMagic) return bad(header, 0, "expected the magic 'GGUF', found ", quoted(magic));

  const std::size_t version_at = position_;
  ELMS_RETURN_IF_ERROR(read(header, "version", file_.version_));
  if (file_.version_ != 0 && (file_.version_ & 0xffff) == 0) {
    return fail(StatusCode::kUnsupported, header, version_at,
                "expected a little-endian file, found a big-endian one");
  }
  if (file_.version_ != 2 && file_.version_ != 3) {
    return fail(StatusCode::kUnsupported, header, version_at, "expected GGUF version 2 or 3, found ",
                file_.version_);
  }
  std::uint64_t n_tensors = 0;
  std::uint64_t n_values = 0;
  ELMS_RETURN_IF_ERROR(read(header, "number of tensors", n_tensors));
  ELMS_RETURN_IF_ERROR(read(header, "number of metadata values", n_values));
  ELMS_RETURN_IF_ERROR(require(header, "metadata values", n_values, kMinValueBytes));
  ELMS_RETURN_IF_ERROR(require(header, "tensor descriptions", n_tensors, kMinTensorBytes));
  if (std::max(n_tensors, n_values) >
      std::numeric_limits<std::uint32_t>::max()) {  // the sorted indices are 32-bit
    return fail(StatusCode::kUnsupported, header, version_at, "expected counts below 2^32, found ", n_tensors,
                " tensors and ", n_values, " values");
  }
  n_tensors_ = static_cast<std::size_t>(n_tensors);
  n_values_ = static_cast<std::size_t>(n_values);
  return {};
}

Status GgufParser::read_value_type(const Subject& subject, const char* what, GgufType& type) {
  const std::size_t at = position_;
  std::uint32_t number = 0;
  ELMS_RETURN_IF_ERROR(read(subject, what, number));
  if (!is_gguf_type(number)) return bad(subject, at, "expected its ", what, " to be 0 to 12, found ", number);
  type = static_cast<GgufType>(number);
  return {};
}

/// That the next `count` bytes, which the caller has required, are 0 or 1: anything else read as a bool is
/// undefined.
Status GgufParser::check_bools(const Subject& subject, std::uint64_t count) const {
  for (std::size_t i = position_; i < position_ + count; ++i) {
    if (bytes_[i] > 1) return bad(subject, i, "expected a bool of 0 or 1, found ", bytes_[i]);
  }
  return {};
}

/// Steps over the elements of an array. Linear in their bytes: an element takes at least one, and `require`
/// stops counts that the rest of the file could not hold.
Status GgufParser::skip_elements(const Subject& subject, GgufType type, std::uint64_t count, int nesting) {
  if (type == GgufType::kString) {
    ELMS_RETURN_IF_ERROR(require(subject, "strings", count, kMinStringBytes));
    for (std::uint64_t i = 0; i < count; ++i)
      ELMS_RETURN_IF_ERROR(skip_string(subject, "string in an array"));
    return {};
  }
  if (type != GgufType::kArray) {
    const std::size_t element_bytes = gguf_scalar_bytes(type);
    ELMS_RETURN_IF_ERROR(require(subject, count == 1 ? "value" : "values", count, element_bytes));
    if (type == GgufType::kBool) ELMS_RETURN_IF_ERROR(check_bools(subject, count));
    position_ += static_cast<std::size_t>(count) * element_bytes;
    return {};
  }
  if (nesting == kMaxArrayNesting) {
    return bad(subject, position_, "expected arrays nested at most ", kMaxArrayNesting,
               " deep, found deeper ones");
  }
  ELMS_RETURN_IF_ERROR(require(subject, "nested arrays", count, kMinArrayBytes));
  for (std::uint64_t i = 0; i < count; ++i) {
    GgufType inner = GgufType::kUint8;
    std::uint64_t inner_count = 0;
    ELMS_RETURN_IF_ERROR(read_value_type(subject, "array element type", inner));
    ELMS_RETURN_IF_ERROR(read(subject, "array length", inner_count));
    ELMS_RETURN_IF_ERROR(skip_elements(subject, inner, inner_count, nesting + 1));
  }
  return {};
}

Status GgufParser::read_value(GgufValue& value) {
  value = GgufValue();
  ELMS_RETURN_IF_ERROR(read_name("key", value.key));
  const Subject subject{"key", value.key};
  ELMS_RETURN_IF_ERROR(read_value_type(subject, "value type", value.type));
  value.element_type = value.type;
  if (value.type == GgufType::kArray) {
    ELMS_RETURN_IF_ERROR(read_value_type(subject, "array element type", value.element_type));
    ELMS_RETURN_IF_ERROR(read(subject, "array length", value.count));
  }
  const std::size_t begin = position_;
  ELMS_RETURN_IF_ERROR(skip_elements(subject, value.element_type, value.count, 1));
  value.bytes = bytes_.subspan(begin, position_ - begin);
  return {};
}

Status GgufParser::walk_values(GgufValue* out) {
  GgufValue value;
  for (std::size_t i = 0; i < n_values_; ++i) {
    ELMS_RETURN_IF_ERROR(read_value(value));
    if (out != nullptr) out[i] = value;
  }
  return {};
}

Status GgufParser::read_dims(const Subject& subject, GgufTensor& tensor) {
  const std::size_t at = position_;
  ELMS_RETURN_IF_ERROR(read(subject, "number of dimensions", tensor.n_dims));
  if (tensor.n_dims == 0 || tensor.n_dims > kGgufMaxDims) {
    return bad(subject, at, "expected 1 to ", kGgufMaxDims, " dimensions, found ", tensor.n_dims);
  }
  std::uint64_t elements = 1;
  for (std::uint32_t i = 0; i < tensor.n_dims; ++i) {
    const std::size_t dim_at = position_;
    ELMS_RETURN_IF_ERROR(read(subject, "dimension", tensor.dims[i]));
    if (tensor.dims[i] == 0) return bad(subject, dim_at, "expected dimension ", i, " above 0, found 0");
    if (tensor.dims[i] > kGgufMaxElements / elements) {
      return bad(subject, dim_at, "expected at most 2^60 elements, found ", elements, " times ",
                 tensor.dims[i]);
    }
    elements *= tensor.dims[i];
  }
  return {};
}

/// One tensor description, without looking at where its data lies.
Status GgufParser::read_tensor(GgufTensor& tensor, std::uint64_t& size_bytes, std::uint64_t& offset) {
  tensor = GgufTensor();
  ELMS_RETURN_IF_ERROR(read_name("tensor", tensor.name));
  const Subject subject{"tensor", tensor.name};
  ELMS_RETURN_IF_ERROR(read_dims(subject, tensor));

  const std::size_t type_at = position_;
  std::uint32_t type = 0;
  ELMS_RETURN_IF_ERROR(read(subject, "type", type));
  const DTypeInfo* info = find_dtype(type);
  if (info == nullptr) {
    const std::string_view name = ggml_type_name(type);
    return fail(StatusCode::kUnsupported, subject, type_at,
                "expected a tensor type that elms reads (F32 F16 BF16 Q8_0 Q4_0 Q4_1 Q5_0 Q5_1 Q4_K Q5_K "
                "Q6_K), found ",
                type, " (", name.empty() ? "unknown" : name, ")");
  }
  tensor.type = info->type;
  if (tensor.dims[0] % info->block_elems != 0) {
    return bad(subject, type_at, "expected rows of a multiple of ", info->block_elems, " values for ",
               info->name, ", found ", tensor.dims[0]);
  }
  size_bytes = tensor.dims[0] / info->block_elems * tensor.rows() * info->block_bytes;
  return read(subject, "data offset", offset);
}

/// Checks where the data lies and sets the view on it. The description just ended at position_.
Status GgufParser::locate(GgufTensor& tensor, std::uint64_t size_bytes, std::uint64_t offset) const {
  const Subject subject{"tensor", tensor.name};
  const std::size_t at = position_ - sizeof offset;
  if (offset % file_.alignment_ != 0) {
    return bad(subject, at, "expected a data offset that is a multiple of ", file_.alignment_, ", found ",
               offset);
  }
  const std::uint64_t data_begin = align_up(infos_end_, file_.alignment_);
  const std::uint64_t available = bytes_.size() > data_begin ? bytes_.size() - data_begin : 0;
  if (offset > available || size_bytes > available - offset) {
    return bad(subject, at, "expected its ", size_bytes, " bytes at data offset ", offset,
               " (data begins at byte ", data_begin, ") to end inside the file, found a file of ",
               bytes_.size(), " bytes");
  }
  tensor.data =
      bytes_.subspan(static_cast<std::size_t>(data_begin + offset), static_cast<std::size_t>(size_bytes));
  return {};
}

Status GgufParser::walk_tensors(GgufTensor* out) {
  GgufTensor tensor;
  std::uint64_t size_bytes = 0;
  std::uint64_t offset = 0;
  for (std::size_t i = 0; i < n_tensors_; ++i) {
    ELMS_RETURN_IF_ERROR(read_tensor(tensor, size_bytes, offset));
    if (out == nullptr) continue;
    ELMS_RETURN_IF_ERROR(locate(tensor, size_bytes, offset));
    out[i] = tensor;
  }
  return {};
}

Status GgufParser::index_values() {
  ELMS_ASSIGN_OR_RETURN(file_.values_by_key_, sorted_index(file_.values_, key_of));
  const Buffer<std::uint32_t>& index = file_.values_by_key_;
  for (std::size_t i = 1; i < index.size(); ++i) {
    const std::string_view first = file_.values_[index[i - 1]].key;
    const std::string_view second = file_.values_[index[i]].key;
    if (first == second) {
      return bad({"key", second}, file_.offset_of(second.data()),
                 "expected every key once, found it before at byte ", file_.offset_of(first.data()));
    }
  }
  return {};
}

Status GgufParser::index_tensors() {
  ELMS_ASSIGN_OR_RETURN(file_.tensors_by_name_, sorted_index(file_.tensors_, name_of));
  const Buffer<std::uint32_t>& index = file_.tensors_by_name_;
  for (std::size_t i = 1; i < index.size(); ++i) {
    const std::string_view first = file_.tensors_[index[i - 1]].name;
    const std::string_view second = file_.tensors_[index[i]].name;
    if (first == second) {
      return bad({"tensor", second}, file_.offset_of(second.data()),
                 "expected every name once, found it before at byte ", file_.offset_of(first.data()));
    }
  }
  return {};
}

Status GgufParser::read_alignment() {
  file_.alignment_ = kGgufDefaultAlignment;
  const GgufValue* value = file_.find(kGgufAlignmentKey);
  if (value == nullptr) return {};
  ELMS_ASSIGN_OR_RETURN(const std::int64_t alignment, file_.integer(kGgufAlignmentKey));
  if (alignment <= 0 || alignment > std::numeric_limits<std::uint32_t>::max() ||
      !is_power_of_two(static_cast<std::uint64_t>(alignment))) {
    return bad({"key", value->key}, file_.offset_of(value->bytes.data()),
               "expected a power of two below 2^32, found ", alignment);
  }
  file_.alignment_ = static_cast<std::uint32_t>(alignment);
  return {};
}

Status GgufParser::check_overlaps() const {
  ELMS_ASSIGN_OR_RETURN(const Buffer<std::uint32_t> by_place, sorted_index(file_.tensors_, data_of));
  for (std::size_t i = 1; i < by_place.size(); ++i) {
    const GgufTensor& before = file_.tensors_[by_place[i - 1]];
    const GgufTensor& after = file_.tensors_[by_place[i]];
    if (before.data.data() + before.data.size() > after.data.data()) {
      return bad({"tensor", after.name}, file_.offset_of(after.name.data()), "expected its data at byte ",
                 file_.offset_of(after.data.data()), " to follow that of tensor ", quoted(before.name),
                 ", found that one ending at byte ",
                 file_.offset_of(before.data.data()) + before.data.size());
    }
  }
  return {};
}

Result<GgufFile> GgufFile::open(const std::string& path) {
  ELMS_ASSIGN_OR_RETURN(FileMapping mapping, FileMapping::open(path));
  const std::span<const std::uint8_t> bytes = mapping.bytes();
  ELMS_ASSIGN_OR_RETURN(GgufFile file, parse(bytes, path));
  file.mapping_ = std::move(mapping);
  return file;
}

Result<GgufFile> GgufFile::parse(std::span<const std::uint8_t> bytes, std::string name) {
  GgufFile file;
  file.bytes_ = bytes;
  file.name_ = std::move(name);
  ELMS_RETURN_IF_ERROR(GgufParser(bytes, file).parse());
  return file;
}

}  // namespace elms::inline v0::detail
