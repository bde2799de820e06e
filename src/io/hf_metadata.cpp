#include "io/hf_metadata.hpp"

#include <cstdint>
#include <string_view>

#include "elms/detail/error.hpp"
#include "text/tokenizer_json.hpp"
#include "text/vocabulary_gguf_writer.hpp"

namespace elms::inline v0::detail {

void write_config_metadata(const ModelConfig& config, GgufWriter& writer) {
  const auto key = [&](std::string_view name) { return concat(config.architecture, ".", name); };
  const auto count = [&](std::string_view name, std::int32_t value) {
    writer.set(key(name), static_cast<std::uint32_t>(value));
  };
  writer.set("general.architecture", config.architecture);
  writer.set("general.type", "model");
  if (!config.name.empty()) writer.set("general.name", config.name);

  const LayerShape& layer = config.layers.front();
  count("block_count", config.n_layers);
  count("context_length", config.context_length);
  count("embedding_length", config.d_model);
  count("feed_forward_length", layer.ff);
  count("attention.head_count", layer.q_heads);
  count("attention.head_count_kv", layer.kv_heads);
  count("attention.key_length", config.head_dim);
  count("attention.value_length", config.head_dim);
  count("rope.dimension_count", config.rope.n_rot);
  count("vocab_size", config.n_vocab);
  writer.set(key("attention.layer_norm_rms_epsilon"), config.rms_epsilon);
  writer.set(key("rope.freq_base"), config.rope.theta);
  if (config.rope.linear_factor != 1.0f) {
    writer.set(key("rope.scaling.type"), "linear");
    writer.set(key("rope.scaling.factor"), config.rope.linear_factor);
  }
}

Status write_hf_metadata(const std::string& directory, const ModelConfig& config, GgufWriter& writer) {
  write_config_metadata(config, writer);
  const std::string tokenizer = directory + "/tokenizer.json";
  const Result<Vocabulary> vocabulary = read_tokenizer_json(tokenizer);
  if (!vocabulary.has_value()) {
    return vocabulary.error().code() == StatusCode::kNotFound ? Status() : vocabulary.error();
  }
  return write_gguf_vocabulary(*vocabulary, static_cast<std::size_t>(config.n_vocab), tokenizer, writer);
}

}  // namespace elms::inline v0::detail
