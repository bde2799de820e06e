#include "offline/recovery/adapter_file.hpp"

#include <algorithm>
#include <vector>

#include "elms/detail/dtype.hpp"
#include "elms/detail/error.hpp"
#include "elms/detail/gguf.hpp"

namespace elms::inline v0::offline {
namespace {

Status write_matrix(detail::GgufWriter& writer, DType type, const float* values, std::size_t rows,
                    std::size_t cols) {
  const std::size_t row_size = detail::row_bytes(type, cols);
  std::vector<std::uint8_t> bytes(rows * row_size);
  for (std::size_t r = 0; r < rows; ++r)
    detail::encode_row(type, values + r * cols, cols, bytes.data() + r * row_size);
  return writer.write(bytes);
}

/// elms.adapter.bias.*: [n_layers, d_model]; not written where the update has none.
void write_biases(detail::GgufWriter& writer, const ModelConfig& config, const LoraLayout& layout,
                  std::span<const float> update, bool ffn) {
  const auto d = static_cast<std::size_t>(config.d_model);
  std::vector<float> values(config.layers.size() * d, 0.0f);
  bool any = false;
  for (const LoraBias& bias : layout.biases()) {
    if (bias.is_ffn != ffn) continue;
    any = true;
    std::copy_n(update.data() + bias.delta, d, values.data() + bias.layer * d);
  }
  if (any)
    writer.set(ffn ? "elms.adapter.bias.ffn_down" : "elms.adapter.bias.attn_output",
               std::span<const float>(values));
}

}  // namespace

std::string adapter_name(const std::string& model_path, std::size_t level) {
  std::string name = model_path.substr(model_path.find_last_of("/\\") + 1);
  if (name.ends_with(".gguf")) name.resize(name.size() - 5);
  return detail::concat(name, ".level", level, ".lora.gguf");
}

Result<std::uint64_t> write_adapter(const ModelConfig& config, const LoraLayout& layout,
                                    std::span<const float> update, DType type, const std::string& path) {
  detail::GgufWriter writer;
  writer.set("general.architecture", config.architecture);
  writer.set("general.type", "adapter");
  writer.set("adapter.type", "lora");
  writer.set("adapter.lora.alpha", static_cast<float>(layout.alpha()));
  write_biases(writer, config, layout, update, false);
  write_biases(writer, config, layout, update, true);
  std::uint64_t bytes = layout.biases().size() * static_cast<std::uint64_t>(config.d_model) * sizeof(float);
  const std::size_t rank = layout.rank();
  for (const LoraMatrix& m : layout.matrices()) {
    const std::uint64_t a_dims[] = {m.k, rank}, b_dims[] = {rank, m.n};
    ELMS_RETURN_IF_ERROR(writer.add_tensor(m.name + ".lora_a", type, a_dims));
    ELMS_RETURN_IF_ERROR(writer.add_tensor(m.name + ".lora_b", type, b_dims));
    bytes += rank * detail::row_bytes(type, m.k) + m.n * detail::row_bytes(type, rank);
  }
  ELMS_RETURN_IF_ERROR(writer.begin(path));
  for (const LoraMatrix& m : layout.matrices()) {
    ELMS_RETURN_IF_ERROR(write_matrix(writer, type, update.data() + m.a, rank, m.k));
    ELMS_RETURN_IF_ERROR(write_matrix(writer, type, update.data() + m.b, m.n, rank));
  }
  ELMS_RETURN_IF_ERROR(writer.finish());
  return bytes;
}

}  // namespace elms::inline v0::offline
