// Writes GGUF v3. Metadata and the tensor table are kept in memory until begin(); tensor data only passes
// through.
#include <array>
#include <cstring>
#include <new>
#include <type_traits>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "elms/detail/error.hpp"
#include "elms/detail/gguf.hpp"
#include "io/gguf_format.hpp"
#include "io/output_file.hpp"

namespace elms::inline v0::detail {

namespace {

constexpr std::uint64_t kMaxDataBytes = std::uint64_t{1} << 62;  // offsets cannot overflow, padding included

/// A GgufValue that owns its key and bytes.
struct OwnedValue {
  std::string key;
  GgufType type = GgufType::kUint8;
  GgufType element_type = GgufType::kUint8;
  std::uint64_t count = 1;
  Buffer<std::uint8_t> bytes;
};

struct PlannedTensor {
  std::string name;
  DType type = DType::kF32;
  std::uint32_t n_dims = 1;
  std::array<std::uint64_t, kGgufMaxDims> dims = {1, 1, 1, 1};
  std::uint64_t size_bytes = 0;
};

template <typename T>
std::span<const std::uint8_t> bytes_of(const T* values, std::size_t n) noexcept {
  static_assert(std::is_arithmetic_v<T>);
  return {reinterpret_cast<const std::uint8_t*>(values), n * sizeof(T)};
}

void store_u64(std::uint8_t* at, std::uint64_t value) noexcept {
  std::memcpy(at, &value, sizeof value);
}

}  // namespace

struct GgufWriter::Impl {
  enum class Stage { kDescribing, kStreaming, kFinished };

  Stage stage = Stage::kDescribing;
  Status failure;  ///< the first error, which every later call repeats: set() cannot return one
  std::vector<OwnedValue> values;
  std::unordered_map<std::string, std::size_t> value_by_key;
  std::vector<PlannedTensor> tensors;
  std::unordered_set<std::string> tensor_names;
  std::uint64_t tensor_bytes = 0;  ///< of all tensors, without padding
  std::uint32_t alignment = kGgufDefaultAlignment;
  std::string path;
  OutputFile file;
  std::size_t current = 0;            ///< tensor that write() fills
  std::uint64_t current_written = 0;  ///< bytes of it so far

  void note(const Status& status) {
    if (failure.ok()) failure = status;
  }
  Status remember(Status status) {
    note(status);
    return status;
  }

  /// Refuses a call that comes in the wrong order, and every call after an error.
  Status require_stage(Stage wanted, const char* call) {
    if (!failure.ok()) return failure;
    if (stage == wanted) return {};
    const char* when = wanted == Stage::kDescribing ? "before begin()" : "between begin() and finish()";
    return remember(invalid_argument("GgufWriter: ", call, " is only possible ", when));
  }

  OwnedValue* find(std::string_view key) {
    const auto at = value_by_key.find(std::string(key));
    return at != value_by_key.end() ? &values[at->second] : nullptr;
  }

  void erase(std::string_view key) {
    if (find(key) == nullptr) return;
    std::erase_if(values, [key](const OwnedValue& value) { return value.key == key; });
    value_by_key.clear();
    for (std::size_t i = 0; i < values.size(); ++i) value_by_key.emplace(values[i].key, i);
  }

  /// Room for a value's bytes under its key, or null after an error.
  std::uint8_t* put(std::string_view key, GgufType type, GgufType element_type, std::uint64_t count,
                    std::size_t size);
  void put_bytes(std::string_view key, GgufType type, GgufType element_type, std::uint64_t count,
                 std::span<const std::uint8_t> bytes);
  template <typename T>
  void put_scalar(std::string_view key, GgufType type, T value) {
    put_bytes(key, type, type, 1, bytes_of(&value, 1));
  }
  template <typename T>
  void put_array(std::string_view key, GgufType element_type, std::span<const T> elements) {
    put_bytes(key, GgufType::kArray, element_type, elements.size(),
              bytes_of(elements.data(), elements.size()));
  }

  Status read_alignment();
  Status write_number(std::uint64_t number, std::size_t size_bytes);
  Status write_string(std::string_view text);
  Status write_value(const OwnedValue& value);
  Status write_header(std::uint64_t& header_bytes);
  Status pad(std::uint64_t written);
  Status begin(const std::string& target);
  Status write(std::span<const std::uint8_t> bytes);
  Status finish();
};

std::uint8_t* GgufWriter::Impl::put(std::string_view key, GgufType type, GgufType element_type,
                                    std::uint64_t count, std::size_t size) {
  if (!require_stage(Stage::kDescribing, "set()").ok()) return nullptr;
  if (key.size() > kGgufMaxNameBytes) {
    note(invalid_argument("GgufWriter: key ", quoted(key), ": expected at most ", kGgufMaxNameBytes,
                          " bytes, found ", key.size()));
    return nullptr;
  }
  Result<Buffer<std::uint8_t>> bytes = Buffer<std::uint8_t>::uninitialized(size);
  if (!bytes.has_value()) {
    note(bytes.error());
    return nullptr;
  }
  OwnedValue* value = find(key);
  if (value == nullptr) {
    value_by_key.emplace(key, values.size());
    value = &values.emplace_back();
    value->key = key;
  }
  value->type = type;
  value->element_type = element_type;
  value->count = count;
  value->bytes = std::move(*bytes);
  return value->bytes.data();
}

void GgufWriter::Impl::put_bytes(std::string_view key, GgufType type, GgufType element_type,
                                 std::uint64_t count, std::span<const std::uint8_t> bytes) {
  std::uint8_t* at = put(key, type, element_type, count, bytes.size());
  if (at != nullptr && !bytes.empty()) std::memcpy(at, bytes.data(), bytes.size());
}

Status GgufWriter::Impl::read_alignment() {
  const OwnedValue* value = find(kGgufAlignmentKey);
  if (value == nullptr) return {};
  // The spec makes it a uint32, and other readers insist.
  if (value->type == GgufType::kUint32) std::memcpy(&alignment, value->bytes.data(), sizeof alignment);
  if (value->type != GgufType::kUint32 || !is_power_of_two(alignment)) {
    return invalid_argument(path, ": key ", quoted(value->key), ": expected a uint32 that is a power of two");
  }
  return {};
}

Status GgufWriter::Impl::write_number(std::uint64_t number, std::size_t size_bytes) {
  return file.write(bytes_of(&number, 1).first(size_bytes));  // little-endian: the low bytes come first
}

Status GgufWriter::Impl::write_string(std::string_view text) {
  ELMS_RETURN_IF_ERROR(write_number(text.size(), 8));
  return file.write({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
}

Status GgufWriter::Impl::write_value(const OwnedValue& value) {
  ELMS_RETURN_IF_ERROR(write_string(value.key));
  ELMS_RETURN_IF_ERROR(write_number(static_cast<std::uint32_t>(value.type), 4));
  if (value.type == GgufType::kArray) {
    ELMS_RETURN_IF_ERROR(write_number(static_cast<std::uint32_t>(value.element_type), 4));
    ELMS_RETURN_IF_ERROR(write_number(value.count, 8));
  }
  return file.write(value.bytes);
}

Status GgufWriter::Impl::write_header(std::uint64_t& header_bytes) {
  ELMS_RETURN_IF_ERROR(
      file.write({reinterpret_cast<const std::uint8_t*>(kGgufMagic.data()), kGgufMagic.size()}));
  ELMS_RETURN_IF_ERROR(write_number(kGgufVersion, 4));
  ELMS_RETURN_IF_ERROR(write_number(tensors.size(), 8));
  ELMS_RETURN_IF_ERROR(write_number(values.size(), 8));
  header_bytes = kGgufMagic.size() + 4 + 8 + 8;
  for (const OwnedValue& value : values) {
    ELMS_RETURN_IF_ERROR(write_value(value));
    const std::size_t array_fields = value.type == GgufType::kArray ? 4 + 8 : 0;
    header_bytes += 8 + value.key.size() + 4 + array_fields + value.bytes.size();
  }
  std::uint64_t offset = 0;
  for (const PlannedTensor& tensor : tensors) {
    ELMS_RETURN_IF_ERROR(write_string(tensor.name));
    ELMS_RETURN_IF_ERROR(write_number(tensor.n_dims, 4));
    for (std::uint32_t i = 0; i < tensor.n_dims; ++i) ELMS_RETURN_IF_ERROR(write_number(tensor.dims[i], 8));
    ELMS_RETURN_IF_ERROR(write_number(static_cast<std::uint32_t>(tensor.type), 4));
    ELMS_RETURN_IF_ERROR(write_number(offset, 8));
    header_bytes += 8 + tensor.name.size() + 4 + 8 * tensor.n_dims + 4 + 8;
    offset = align_up(offset + tensor.size_bytes, alignment);
  }
  return {};
}

/// Zeros up to the next multiple of the alignment.
Status GgufWriter::Impl::pad(std::uint64_t written) {
  static constexpr std::array<std::uint8_t, 4096> kZeros{};
  std::uint64_t missing = align_up(written, alignment) - written;
  while (missing != 0) {
    const std::size_t piece = missing < kZeros.size() ? static_cast<std::size_t>(missing) : kZeros.size();
    ELMS_RETURN_IF_ERROR(file.write(std::span(kZeros).first(piece)));
    missing -= piece;
  }
  return {};
}

Status GgufWriter::Impl::begin(const std::string& target) {
  path = target;
  ELMS_RETURN_IF_ERROR(read_alignment());
  ELMS_ASSIGN_OR_RETURN(file, OutputFile::create(target));
  std::uint64_t header_bytes = 0;
  ELMS_RETURN_IF_ERROR(write_header(header_bytes));
  ELMS_RETURN_IF_ERROR(pad(header_bytes));
  stage = Stage::kStreaming;
  return {};
}

Status GgufWriter::Impl::write(std::span<const std::uint8_t> bytes) {
  if (bytes.empty()) return {};
  if (current == tensors.size()) {
    return invalid_argument(path, ": ", bytes.size(), " bytes came after the last tensor was complete");
  }
  const PlannedTensor& tensor = tensors[current];
  const std::uint64_t missing = tensor.size_bytes - current_written;
  if (bytes.size() > missing) {
    return invalid_argument(path, ": tensor ", quoted(tensor.name), ": expected ", missing, " more bytes of ",
                            tensor.size_bytes, ", got ", bytes.size());
  }
  ELMS_RETURN_IF_ERROR(file.write(bytes));
  current_written += bytes.size();
  if (current_written < tensor.size_bytes) return {};
  current_written = 0;
  ++current;
  return pad(tensor.size_bytes);
}

Status GgufWriter::Impl::finish() {
  if (current < tensors.size()) {
    const PlannedTensor& tensor = tensors[current];
    return invalid_argument(path, ": tensor ", quoted(tensor.name), " is incomplete: expected ",
                            tensor.size_bytes, " bytes, got ", current_written);
  }
  ELMS_RETURN_IF_ERROR(file.commit());
  stage = Stage::kFinished;
  return {};
}

GgufWriter::GgufWriter() : impl_(std::make_unique<Impl>()) {}
GgufWriter::GgufWriter(GgufWriter&&) noexcept = default;
GgufWriter& GgufWriter::operator=(GgufWriter&&) noexcept = default;
GgufWriter::~GgufWriter() = default;

void GgufWriter::set(std::string_view key, bool value) {
  impl_->put_scalar<std::uint8_t>(key, GgufType::kBool, value ? 1 : 0);
}
void GgufWriter::set(std::string_view key, std::uint32_t value) {
  impl_->put_scalar(key, GgufType::kUint32, value);
}
void GgufWriter::set(std::string_view key, std::int32_t value) {
  impl_->put_scalar(key, GgufType::kInt32, value);
}
void GgufWriter::set(std::string_view key, std::uint64_t value) {
  impl_->put_scalar(key, GgufType::kUint64, value);
}
void GgufWriter::set(std::string_view key, float value) {
  impl_->put_scalar(key, GgufType::kFloat32, value);
}
void GgufWriter::set(std::string_view key, std::string_view value) {
  std::uint8_t* at =
      impl_->put(key, GgufType::kString, GgufType::kString, 1, sizeof(std::uint64_t) + value.size());
  if (at == nullptr) return;
  store_u64(at, value.size());
  if (!value.empty()) std::memcpy(at + sizeof(std::uint64_t), value.data(), value.size());
}
void GgufWriter::set(std::string_view key, std::span<const std::uint32_t> values) {
  impl_->put_array(key, GgufType::kUint32, values);
}
void GgufWriter::set(std::string_view key, std::span<const std::int32_t> values) {
  impl_->put_array(key, GgufType::kInt32, values);
}
void GgufWriter::set(std::string_view key, std::span<const float> values) {
  impl_->put_array(key, GgufType::kFloat32, values);
}
void GgufWriter::set(std::string_view key, std::span<const std::string_view> values) {
  std::size_t size = 0;
  for (const std::string_view text : values) size += sizeof(std::uint64_t) + text.size();
  std::uint8_t* at = impl_->put(key, GgufType::kArray, GgufType::kString, values.size(), size);
  if (at == nullptr) return;
  for (const std::string_view text : values) {
    store_u64(at, text.size());
    if (!text.empty()) std::memcpy(at + sizeof(std::uint64_t), text.data(), text.size());
    at += sizeof(std::uint64_t) + text.size();
  }
}
void GgufWriter::set(const GgufValue& value) {
  impl_->put_bytes(value.key, value.type, value.element_type, value.count, value.bytes);
}

void GgufWriter::erase(std::string_view key) {
  if (!impl_->require_stage(Impl::Stage::kDescribing, "erase()").ok()) return;
  impl_->erase(key);
}

Status GgufWriter::add_tensor(std::string_view name, DType type, std::span<const std::uint64_t> dims) {
  ELMS_RETURN_IF_ERROR(impl_->require_stage(Impl::Stage::kDescribing, "add_tensor()"));
  const auto refuse = [&](const auto&... pieces) {
    return impl_->remember(invalid_argument("GgufWriter: tensor ", quoted(name), ": ", pieces...));
  };
  if (name.size() > kGgufMaxNameBytes) {
    return refuse("expected a name of at most ", kGgufMaxNameBytes, " bytes, found ", name.size());
  }
  if (dims.empty() || dims.size() > kGgufMaxDims) {
    return refuse("expected 1 to ", kGgufMaxDims, " dimensions, found ", dims.size());
  }
  PlannedTensor tensor;
  tensor.name = name;
  tensor.type = type;
  tensor.n_dims = static_cast<std::uint32_t>(dims.size());
  std::uint64_t elements = 1;
  for (std::size_t i = 0; i < dims.size(); ++i) {
    if (dims[i] == 0 || dims[i] > kGgufMaxElements / elements) {
      return refuse("expected dimensions above 0 and at most 2^60 elements, found dimension ", dims[i]);
    }
    elements *= dims[i];
    tensor.dims[i] = dims[i];
  }
  const DTypeInfo& info = dtype_info(type);
  if (dims[0] % info.block_elems != 0) {
    return refuse("expected rows of a multiple of ", info.block_elems, " values for ", info.name, ", found ",
                  dims[0]);
  }
  tensor.size_bytes = elements / info.block_elems * info.block_bytes;
  if (tensor.size_bytes > kMaxDataBytes - impl_->tensor_bytes)
    return refuse("makes the file larger than 2^62 bytes");
  if (!impl_->tensor_names.insert(tensor.name).second) return refuse("was added before");
  impl_->tensor_bytes += tensor.size_bytes;
  impl_->tensors.push_back(std::move(tensor));
  return {};
}

Status GgufWriter::begin(const std::string& path) {
  ELMS_RETURN_IF_ERROR(impl_->require_stage(Impl::Stage::kDescribing, "begin()"));
  return impl_->remember(impl_->begin(path));
}

Status GgufWriter::write(std::span<const std::uint8_t> bytes) {
  ELMS_RETURN_IF_ERROR(impl_->require_stage(Impl::Stage::kStreaming, "write()"));
  return impl_->remember(impl_->write(bytes));
}

Status GgufWriter::finish() {
  ELMS_RETURN_IF_ERROR(impl_->require_stage(Impl::Stage::kStreaming, "finish()"));
  return impl_->remember(impl_->finish());
}

}  // namespace elms::inline v0::detail
