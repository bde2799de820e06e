#include "offline/recovery/adapter_merge.hpp"

#include <string_view>
#include <utility>

#include "elms/detail/dtype.hpp"
#include "elms/detail/error.hpp"
#include "elms/detail/gguf.hpp"
#include "offline/train/parameters.hpp"
#include "offline/train/units.hpp"

namespace elms::inline v0::offline {
namespace {

constexpr std::string_view kSuffixA = ".lora_a", kSuffixB = ".lora_b";

std::vector<float> decoded(const detail::GgufTensor& tensor) {
  const auto cols = static_cast<std::size_t>(tensor.cols()), rows = static_cast<std::size_t>(tensor.rows());
  std::vector<float> values(rows * cols);
  const std::size_t row_size = detail::row_bytes(tensor.type, cols);
  for (std::size_t r = 0; r < rows; ++r) {
    detail::decode_row(tensor.type, tensor.data.data() + r * row_size, cols, values.data() + r * cols);
  }
  return values;
}

bool is_float(DType type) {
  return type == DType::kF32 || type == DType::kF16;
}

Result<MatrixUpdate> read_update(const detail::GgufFile& file, const detail::GgufTensor& a,
                                 const train::ParameterTensor& weight, double alpha) {
  const detail::GgufTensor* b = file.find_tensor(weight.name + std::string(kSuffixB));
  if (b == nullptr || !is_float(a.type) || !is_float(b->type) || a.rows() == 0 || a.cols() != weight.cols ||
      b->rows() != weight.rows || b->cols() != a.rows()) {
    return detail::malformed(file.name(), ": the update of ", weight.name, " does not fit a matrix of [",
                             weight.rows, ", ", weight.cols, "]");
  }
  MatrixUpdate update{static_cast<std::size_t>(a.rows()), decoded(a), decoded(*b)};
  const auto factor = static_cast<float>(alpha == 0.0 ? 1.0 : alpha / static_cast<double>(update.rank));
  for (float& value : update.b) value *= factor;
  return update;
}

Result<std::vector<float>> read_biases(const detail::GgufFile& file, std::string_view key,
                                       std::size_t expected) {
  if (file.find(key) == nullptr) return std::vector<float>();
  ELMS_ASSIGN_OR_RETURN(std::vector<float> values, file.reals(key));
  if (values.size() == expected) return values;
  return detail::malformed(file.name(), ": ", key, ": expected ", expected, " values, found ", values.size());
}

}  // namespace

Result<AdapterMerge> read_adapter_merge(const std::string& path, const ModelConfig& config,
                                        std::span<const LayerShape> slices) {
  ELMS_ASSIGN_OR_RETURN(const auto file, detail::GgufFile::open(path));
  double alpha = 0.0;
  if (file.find("adapter.lora.alpha") != nullptr) {
    ELMS_ASSIGN_OR_RETURN(alpha, file.real("adapter.lora.alpha"));
  }
  const train::ParameterLayout level(train::with_layers(config, slices));
  AdapterMerge merge;
  for (const detail::GgufTensor& tensor : file.tensors()) {
    if (tensor.name.ends_with(kSuffixB)) continue;
    const std::string_view name = tensor.name.ends_with(kSuffixA)
                                      ? tensor.name.substr(0, tensor.name.size() - kSuffixA.size())
                                      : std::string_view();
    const train::ParameterTensor* weight = level.find(name);
    if (weight == nullptr)
      return detail::malformed(file.name(), ": tensor ", tensor.name, " updates no matrix of the level");
    ELMS_ASSIGN_OR_RETURN(MatrixUpdate update, read_update(file, tensor, *weight, alpha));
    merge.matrices.emplace(weight->name, std::move(update));
  }
  const std::size_t n_biases = slices.size() * static_cast<std::size_t>(config.d_model);
  ELMS_ASSIGN_OR_RETURN(merge.attention_biases, read_biases(file, "elms.adapter.bias.attn_output", n_biases));
  ELMS_ASSIGN_OR_RETURN(merge.ffn_biases, read_biases(file, "elms.adapter.bias.ffn_down", n_biases));
  return merge;
}

}  // namespace elms::inline v0::offline
