#include "offline/refiner/refiner_file.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "elms/detail/dtype.hpp"
#include "elms/detail/error.hpp"
#include "offline/tensor_names.hpp"

namespace elms::inline v0::offline::refiner {
namespace {

using detail::concat;
using train::ParameterTensor;

constexpr std::string_view kMetadataPrefix = "elms.refiner.";
constexpr std::string_view kDecisionLayer = "elms.refiner.decision.blk.";

bool is_metadata(const ParameterTensor& tensor) {
  return tensor.name.starts_with(kMetadataPrefix);
}
bool is_encoded(const ParameterTensor& tensor) {
  return tensor.name.starts_with(kDecisionLayer);
}

DType refiner_type(const ParameterTensor& tensor, DType wanted) {
  // llama.cpp adds the row of the token type as the file has it.
  if (tensor.rows == 1 || tensor.name == "token_types.weight") return DType::kF32;
  return tensor.cols % detail::dtype_info(wanted).block_elems == 0 ? wanted : DType::kF32;
}

std::vector<std::uint8_t> encoded(const ParameterTensor& tensor, DType type, const float* params) {
  const std::size_t row_size = detail::row_bytes(type, tensor.cols);
  std::vector<std::uint8_t> bytes(row_size * tensor.rows);
  for (std::size_t r = 0; r < tensor.rows; ++r)
    detail::encode_row(type, params + tensor.offset + r * tensor.cols, tensor.cols, &bytes[r * row_size]);
  return bytes;
}

Result<EncoderShape> read_refiner_shape(const detail::GgufFile& file) {
  EncoderShape shape;
  const auto count = [&](std::string_view key, std::size_t& out, bool required) -> Status {
    const Result<std::int64_t> value = file.integer(key);
    if (!value.has_value())
      return !required && value.error().code() == StatusCode::kNotFound ? Status() : value.error();
    if (*value < 0 || *value > 1 << 24) return detail::malformed(file.name(), ": ", key, ": found ", *value);
    out = static_cast<std::size_t>(*value);
    return {};
  };
  ELMS_RETURN_IF_ERROR(count("bert.embedding_length", shape.d_model, true));
  ELMS_RETURN_IF_ERROR(count("bert.attention.head_count", shape.n_heads, true));
  ELMS_RETURN_IF_ERROR(count("bert.feed_forward_length", shape.d_ff, true));
  ELMS_RETURN_IF_ERROR(count("bert.context_length", shape.max_positions, true));
  ELMS_RETURN_IF_ERROR(count("bert.block_count", shape.n_layers, true));
  shape.n_shared_layers = shape.n_layers;
  ELMS_RETURN_IF_ERROR(count("elms.refiner.shared_layers", shape.n_shared_layers, false));
  ELMS_RETURN_IF_ERROR(count("elms.refiner.decision.layers", shape.n_decision_layers, false));
  ELMS_ASSIGN_OR_RETURN(const double epsilon, file.real("bert.attention.layer_norm_epsilon"));
  shape.norm_epsilon = static_cast<float>(epsilon);
  if (shape.n_heads == 0 || shape.d_model == 0 || shape.d_model % shape.n_heads != 0 ||
      shape.n_shared_layers > shape.n_layers || shape.n_layers > 256 || shape.d_ff < shape.d_model) {
    return detail::malformed(file.name(), ": an encoder of ", shape.d_model, " values, ", shape.n_heads,
                             " heads, ", shape.d_ff, " hidden units and ", shape.n_shared_layers, " of ",
                             shape.n_layers, " layers shared");
  }
  if (!shape.has_decision()) return shape;
  ELMS_ASSIGN_OR_RETURN(shape.widths, file.reals("elms.refiner.decision.widths"));
  ELMS_ASSIGN_OR_RETURN(shape.keep_ratios, file.reals("elms.refiner.decision.keep_ratios"));
  ELMS_ASSIGN_OR_RETURN(const auto bias, file.reals("elms.refiner.decision.hidden.bias"));
  shape.n_decision_hidden = bias.size();
  return shape;
}

/// Rows of a tensor, from wherever they are in the file.
Status read_refiner_tensor(const detail::GgufFile& file, const ParameterTensor& tensor, float* params) {
  float* const out = params + tensor.offset;
  const auto decode = [&](DType type, std::span<const std::uint8_t> bytes) -> Status {
    const std::size_t row_size = detail::row_bytes(type, tensor.cols);
    if (bytes.size() != row_size * tensor.rows)
      return detail::malformed(file.name(), ": ", tensor.name, ": expected ", row_size * tensor.rows,
                               " bytes, found ", bytes.size());
    for (std::size_t r = 0; r < tensor.rows; ++r)
      detail::decode_row(type, bytes.data() + r * row_size, tensor.cols, out + r * tensor.cols);
    return {};
  };
  if (!is_metadata(tensor)) {
    const detail::GgufTensor* stored = file.find_tensor(tensor.name);
    if (stored == nullptr) return detail::malformed(file.name(), ": ", tensor.name, " is missing");
    return decode(stored->type, stored->data);
  }
  const detail::GgufValue* value = file.find(tensor.name);
  if (value == nullptr) return detail::malformed(file.name(), ": ", tensor.name, " is missing");
  if (!is_encoded(tensor)) return decode(DType::kF32, value->bytes);
  ELMS_ASSIGN_OR_RETURN(const std::int64_t type, file.integer("elms.refiner.decision.type"));
  return decode(tensor.rows == 1 ? DType::kF32 : static_cast<DType>(type), value->bytes);
}

/// A vector of numbers as a metadata value: u8 where they are encoded rows.
void set_metadata_tensor(detail::GgufWriter& writer, const ParameterTensor& tensor, DType type,
                         const float* params) {
  const std::vector<std::uint8_t> bytes = encoded(tensor, type, params);
  const bool raw = is_encoded(tensor);
  writer.set(detail::GgufValue{tensor.name, detail::GgufType::kArray,
                               raw ? detail::GgufType::kUint8 : detail::GgufType::kFloat32,
                               raw ? bytes.size() : tensor.size(), bytes});
}

void set_encoder_config(detail::GgufWriter& writer, const EncoderShape& shape, const std::string& name,
                        DType type) {
  const auto count = [&](std::string_view key, std::size_t value) {
    writer.set(key, static_cast<std::uint32_t>(value));
  };
  writer.set("general.architecture", "bert");
  writer.set("general.type", "model");
  writer.set("general.name", name.empty() ? "elms-refiner" : name);
  writer.set("general.file_type", gguf_file_type(type));
  count("bert.context_length", shape.max_positions);
  count("bert.embedding_length", shape.d_model);
  count("bert.feed_forward_length", shape.d_ff);
  count("bert.block_count", shape.n_layers);
  count("bert.attention.head_count", shape.n_heads);
  writer.set("bert.attention.layer_norm_epsilon", shape.norm_epsilon);
  writer.set("bert.attention.causal", false);
  count("bert.pooling_type", 0);
  count("elms.refiner.version", 1);
  count("elms.refiner.shared_layers", shape.n_shared_layers);
}

}  // namespace

Result<RefinerModel> open_refiner(const std::string& path) {
  ELMS_ASSIGN_OR_RETURN(detail::GgufFile file, detail::GgufFile::open(path));
  ELMS_ASSIGN_OR_RETURN(EncoderShape shape, read_refiner_shape(file));
  ELMS_ASSIGN_OR_RETURN(auto tokenizer, Tokenizer::from_gguf(file));
  shape.n_vocab = static_cast<std::size_t>(tokenizer->n_vocab());
  const bool has_score = file.find("elms.refiner.score.weight") != nullptr;
  EncoderLayout layout(std::move(shape));
  ELMS_ASSIGN_OR_RETURN(auto params, detail::Buffer<float>::zeroed(layout.size()));
  for (const ParameterTensor& tensor : layout.tensors()) {
    if (tensor.name == "mlm.bias") continue;
    if (!has_score && tensor.name.starts_with("elms.refiner.score.")) continue;
    ELMS_RETURN_IF_ERROR(read_refiner_tensor(file, tensor, params.data()));
  }
  return RefinerModel{std::move(layout), std::move(params), std::move(file), std::move(tokenizer), has_score};
}

Result<RefinerModel> with_shape(RefinerModel model, EncoderShape shape) {
  EncoderLayout layout(std::move(shape));
  ELMS_ASSIGN_OR_RETURN(auto params, detail::Buffer<float>::zeroed(layout.size()));
  std::copy_n(model.params.data(), std::min(layout.main_size(), model.layout.main_size()), params.data());
  model.layout = std::move(layout);
  model.params = std::move(params);
  return model;
}

Status write_refiner(const RefinerModel& model, float temperature, DType type, const std::string& name,
                     const std::string& path) {
  const EncoderShape& shape = model.layout.shape();
  detail::GgufWriter writer;
  set_encoder_config(writer, shape, name, type);
  for (const detail::GgufValue& value : model.source.values()) {
    if (value.key.starts_with("tokenizer.")) writer.set(value);
  }
  if (shape.has_decision()) {
    writer.set("elms.refiner.decision.layers", static_cast<std::uint32_t>(shape.n_decision_layers));
    writer.set("elms.refiner.decision.type", static_cast<std::uint32_t>(type));
    writer.set("elms.refiner.decision.widths", std::span<const float>(shape.widths));
    writer.set("elms.refiner.decision.keep_ratios", std::span<const float>(shape.keep_ratios));
    writer.set("elms.refiner.decision.temperature", temperature);
  }
  std::vector<const ParameterTensor*> stored;
  for (const ParameterTensor& tensor : model.layout.tensors()) {
    if (tensor.name == "mlm.bias") continue;
    if (!model.has_score_head && tensor.name.starts_with("elms.refiner.score.")) continue;
    if (is_metadata(tensor)) {
      set_metadata_tensor(writer, tensor, is_encoded(tensor) ? refiner_type(tensor, type) : DType::kF32,
                          model.params.data());
      continue;
    }
    const std::uint64_t dims[2] = {tensor.cols, tensor.rows};
    ELMS_RETURN_IF_ERROR(writer.add_tensor(tensor.name, refiner_type(tensor, type),
                                           std::span(dims, tensor.rows == 1 ? 1 : 2)));
    stored.push_back(&tensor);
  }
  ELMS_RETURN_IF_ERROR(writer.begin(path));
  for (const ParameterTensor* tensor : stored)
    ELMS_RETURN_IF_ERROR(writer.write(encoded(*tensor, refiner_type(*tensor, type), model.params.data())));
  return writer.finish();
}

}  // namespace elms::inline v0::offline::refiner
