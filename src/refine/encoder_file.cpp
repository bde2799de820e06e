#include "refine/encoder_file.hpp"

#include <utility>

#include "elms/detail/error.hpp"
#include "refine/encoder_config.hpp"

namespace elms::inline v0::detail {
namespace {

constexpr std::string_view kDecisionPrefix = "elms.refiner.decision.";

Result<DType> read_decision_type(const GgufFile& file) {
  const Result<std::int64_t> stored = file.integer(concat(kDecisionPrefix, "type"));
  if (!stored.has_value()) return malformed(stored.error().message());
  const std::int64_t number = *stored;
  const DTypeInfo* info =
      number < 0 || number > 255 ? nullptr : find_dtype(static_cast<std::uint32_t>(number));
  if (info == nullptr ||
      (info->type != DType::kF32 && info->type != DType::kF16 && info->type != DType::kQ8_0)) {
    return unsupported(file.name(), ": ", kDecisionPrefix, "type is ", number,
                       "; elms reads 0 (F32), 1 (F16) and 8 (Q8_0)");
  }
  return info->type;
}

}  // namespace

Result<EncoderFile> EncoderFile::open(const std::string& path) {
  ELMS_ASSIGN_OR_RETURN(GgufFile gguf, GgufFile::open(path));
  EncoderFile file(std::move(gguf));
  ELMS_ASSIGN_OR_RETURN(file.config_, read_encoder_config(file.gguf_));
  if (file.config_.n_decision_layers > 0) {
    ELMS_ASSIGN_OR_RETURN(file.decision_type_, read_decision_type(file.gguf_));
  }
  return file;
}

Result<SourceTensor> EncoderFile::tensor(EncoderBranch branch, const std::string& name, std::int32_t rows,
                                         std::int32_t cols) const {
  return branch == EncoderBranch::kMain ? main_tensor(name, rows, cols) : decision_tensor(name, rows, cols);
}

Result<SourceTensor> EncoderFile::main_tensor(const std::string& name, std::int32_t rows,
                                              std::int32_t cols) const {
  const GgufTensor* stored = gguf_.find_tensor(name);
  if (stored == nullptr) return malformed(gguf_.name(), ": there is no tensor ", name);
  if (stored->rows() != static_cast<std::uint64_t>(rows) ||
      stored->cols() != static_cast<std::uint64_t>(cols)) {
    return malformed(gguf_.name(), ": tensor ", name, ": expected [", rows, ", ", cols, "], found [",
                     stored->rows(), ", ", stored->cols(), "]");
  }
  SourceTensor tensor;
  tensor.name = stored->name;
  tensor.type = stored->type;
  tensor.rows = stored->rows();
  tensor.cols = stored->cols();
  tensor.data = stored->data;
  return tensor;
}

Result<SourceTensor> EncoderFile::decision_tensor(const std::string& name, std::int32_t rows,
                                                  std::int32_t cols) const {
  const std::string key = concat(kDecisionPrefix, name);
  const GgufValue* value = gguf_.find(key);
  if (value == nullptr) return malformed(gguf_.name(), ": there is no key ", key);
  SourceTensor tensor;
  tensor.name = value->key.substr(kDecisionPrefix.size());
  tensor.type = rows == 1 ? DType::kF32 : decision_type_;
  tensor.rows = static_cast<std::uint64_t>(rows);
  tensor.cols = static_cast<std::uint64_t>(cols);
  const std::uint32_t block = dtype_info(tensor.type).block_elems;
  if (tensor.cols % block != 0) {
    return malformed(gguf_.name(), ": ", key, ": rows of ", cols, " values are no whole blocks of ", block);
  }
  const std::uint64_t expected = tensor.rows * row_bytes(tensor.type, static_cast<std::size_t>(cols));
  if (value->type != GgufType::kArray || value->element_type != GgufType::kUint8 ||
      value->count != expected) {
    return malformed(gguf_.name(), ": ", key, ": expected an array of ", expected, " bytes for [", rows, ", ",
                     cols, "]");
  }
  tensor.data = value->bytes;
  return tensor;
}

}  // namespace elms::inline v0::detail
