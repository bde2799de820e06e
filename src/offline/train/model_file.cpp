#include "offline/train/model_file.hpp"

#include <algorithm>
#include <vector>

#include "elms/detail/dtype.hpp"
#include "elms/detail/error.hpp"
#include "offline/tensor_names.hpp"

namespace elms::inline v0::offline::train {

namespace {

DType stored_type(const ParameterTensor& tensor, DType wanted) {
  if (tensor.rows == 1) return DType::kF32;
  return tensor.cols % detail::dtype_info(wanted).block_elems == 0 ? wanted : DType::kF16;
}

Status write_tensor(detail::GgufWriter& writer, const ParameterTensor& tensor, DType type,
                    const float* values) {
  std::vector<std::uint8_t> bytes(detail::row_bytes(type, tensor.cols) * tensor.rows);
  for (std::size_t r = 0; r < tensor.rows; ++r) {
    detail::encode_row(type, values + r * tensor.cols, tensor.cols,
                       bytes.data() + r * detail::row_bytes(type, tensor.cols));
  }
  return writer.write(bytes);
}

}  // namespace

Result<detail::Buffer<float>> load_parameters(const detail::ModelSource& source,
                                              const ParameterLayout& layout) {
  ELMS_ASSIGN_OR_RETURN(auto params, detail::Buffer<float>::zeroed(layout.size()));
  for (const ParameterTensor& tensor : layout.tensors()) {
    const detail::SourceTensor* stored = source.find(tensor.name);
    if (stored == nullptr) continue;
    if (stored->rows != tensor.rows || stored->cols != tensor.cols) {
      return detail::malformed(source.path(), ": ", tensor.name, ": expected [", tensor.rows, ", ",
                               tensor.cols, "], found [", stored->rows, ", ", stored->cols, "]");
    }
    for (std::size_t r = 0; r < tensor.rows; ++r)
      stored->decode_row(r, params.data() + tensor.offset + r * tensor.cols);
  }
  return params;
}

void write_config(detail::GgufWriter& writer, const ModelConfig& config, std::string_view name, DType type) {
  const auto key = [&](std::string_view suffix) { return detail::concat(config.architecture, ".", suffix); };
  const auto count = [&](std::string_view suffix, std::int32_t value) {
    writer.set(key(suffix), static_cast<std::uint32_t>(value));
  };
  writer.set("general.architecture", config.architecture);
  writer.set("general.type", "model");
  writer.set("general.name", name);
  writer.set("general.file_type", gguf_file_type(type));
  count("vocab_size", config.n_vocab);
  count("context_length", config.context_length);
  count("embedding_length", config.d_model);
  count("block_count", config.n_layers);
  count("feed_forward_length", config.layers[0].ff);
  count("attention.head_count", config.layers[0].q_heads);
  count("attention.head_count_kv", config.layers[0].kv_heads);
  count("attention.key_length", config.head_dim);
  count("attention.value_length", config.head_dim);
  writer.set(key("attention.layer_norm_rms_epsilon"), config.rms_epsilon);
  count("rope.dimension_count", config.rope.n_rot);
  writer.set(key("rope.freq_base"), config.rope.theta);
  if (config.rope.linear_factor != 1.0f) {
    writer.set(key("rope.scaling.type"), "linear");
    writer.set(key("rope.scaling.factor"), config.rope.linear_factor);
  }
}

Status write_parameters(detail::GgufWriter& writer, const ParameterLayout& layout,
                        std::span<const float> params, DType type, const std::string& path) {
  if (!detail::dtype_info(type).can_encode) {
    return detail::invalid_argument(path, ": type ", detail::dtype_info(type).name, " cannot be written");
  }
  const std::vector<float>& divisors = layout.config().rope.divisors;
  for (const ParameterTensor& tensor : layout.tensors()) {
    if (tensor.name.ends_with("ffn_down.bias")) {
      return detail::invalid_argument(path, ": ", tensor.name, " has no place in a model file");
    }
    const std::uint64_t dims[2] = {tensor.cols, tensor.rows};
    ELMS_RETURN_IF_ERROR(
        writer.add_tensor(tensor.name, stored_type(tensor, type), std::span(dims, tensor.rows == 1 ? 1 : 2)));
  }
  if (!divisors.empty()) {
    const std::uint64_t dims[1] = {divisors.size()};
    ELMS_RETURN_IF_ERROR(writer.add_tensor("rope_freqs.weight", DType::kF32, dims));
  }
  ELMS_RETURN_IF_ERROR(writer.begin(path));
  for (const ParameterTensor& tensor : layout.tensors()) {
    ELMS_RETURN_IF_ERROR(
        write_tensor(writer, tensor, stored_type(tensor, type), params.data() + tensor.offset));
  }
  if (!divisors.empty()) {
    ELMS_RETURN_IF_ERROR(
        write_tensor(writer, {"rope_freqs.weight", 1, divisors.size(), 0}, DType::kF32, divisors.data()));
  }
  return writer.finish();
}

}  // namespace elms::inline v0::offline::train
