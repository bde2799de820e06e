#include "offline/encoder/encoder_tensors.hpp"

#include "elms/detail/dtype.hpp"
#include "elms/detail/error.hpp"

namespace elms::inline v0::offline {
namespace {

using detail::concat;
using detail::EncoderConfig;

class TensorLister {
 public:
  explicit TensorLister(const EncoderConfig& config) : config_(config) {}

  void add_tables() {
    const std::int32_t d = config_.d_model, e = config_.d_embedding;
    add("token_embd.weight", "embeddings.word_embeddings.weight", config_.n_vocab, e, true);
    add("position_embd.weight", "embeddings.position_embeddings.weight", config_.max_positions, d, false);
    add("token_types.weight", "embeddings.token_type_embeddings.weight", config_.n_token_types, d, false);
    add_norm("token_embd_norm", "embeddings.LayerNorm", d);
    if (e != d || config_.trigram) {
      add_linear("token_embd_widen", "embeddings.embedding_transformation", d, config_.trigram ? 3 * e : e);
    }
  }

  void add_layer(std::int32_t index) {
    const std::int32_t d = config_.d_inner, h = config_.d_model;
    const std::string blk = concat("blk.", index, "."), hf = concat("encoder.layer.", index, ".");
    const bool shares = config_.bottleneck && !config_.bottleneck_attention;
    add_linear(blk + "attn_q", hf + "attention.self.query", d, d);
    add_linear(blk + "attn_k", hf + "attention.self.key", d, d);
    add_linear(blk + "attn_v", hf + "attention.self.value", d, shares ? h : d);
    add_linear(blk + "attn_output", hf + "attention.output.dense", d, d);
    add_norm(blk + "attn_output_norm", hf + "attention.output.LayerNorm", d);
    for (std::int32_t i = 0; i + 1 < config_.n_ffn; ++i) {
      const std::string ffn = concat(hf, "ffn.", i, ".");
      add_linear(concat(blk, "ffn_up.", i), ffn + "intermediate.dense", config_.d_ff, d);
      add_linear(concat(blk, "ffn_down.", i), ffn + "output.dense", d, config_.d_ff);
      add_norm(concat(blk, "ffn_norm.", i), ffn + "output.LayerNorm", d);
    }
    add_linear(blk + "ffn_up", hf + "intermediate.dense", config_.d_ff, d);
    add_linear(blk + "ffn_down", hf + "output.dense", d, config_.d_ff);
    add_norm(blk + (config_.bottleneck ? "ffn_norm" : "layer_output_norm"), hf + "output.LayerNorm", d);
    if (!config_.bottleneck) return;
    add_linear(blk + "bottleneck_in", hf + "bottleneck.input.dense", d, h);
    add_norm(blk + "bottleneck_in_norm", hf + "bottleneck.input.LayerNorm", d);
    if (shares) {
      add_linear(blk + "bottleneck_attn", hf + "bottleneck.attention.dense", d, h);
      add_norm(blk + "bottleneck_attn_norm", hf + "bottleneck.attention.LayerNorm", d);
    }
    add_linear(blk + "bottleneck_out", hf + "output.bottleneck.dense", h, d);
    add_norm(blk + "layer_output_norm", hf + "output.bottleneck.LayerNorm", h);
  }

  std::vector<EncoderTensor> take() { return std::move(tensors_); }

 private:
  void add(const std::string& name, const std::string& hf_name, std::int32_t rows, std::int32_t cols,
           bool is_matrix) {
    tensors_.push_back({name, hf_name, rows, cols, is_matrix});
  }
  void add_linear(const std::string& name, const std::string& hf_name, std::int32_t rows, std::int32_t cols) {
    add(name + ".weight", hf_name + ".weight", rows, cols, true);
    add(name + ".bias", hf_name + ".bias", 1, rows, false);
  }
  void add_norm(const std::string& name, const std::string& hf_name, std::int32_t n) {
    add(name + ".weight", hf_name + ".weight", 1, n, false);
    add(name + ".bias", hf_name + ".bias", 1, n, false);
  }

  const EncoderConfig& config_;
  std::vector<EncoderTensor> tensors_;
};

}  // namespace

std::vector<EncoderTensor> encoder_tensors(const EncoderConfig& config) {
  TensorLister lister(config);
  lister.add_tables();
  for (std::int32_t i = 0; i < config.n_layers; ++i) lister.add_layer(i);
  return lister.take();
}

std::vector<EncoderTensor> encoder_layer_tensors(const EncoderConfig& config, std::int32_t layer) {
  TensorLister lister(config);
  lister.add_layer(layer);
  return lister.take();
}

DType encoder_tensor_type(const EncoderTensor& tensor, DType type) noexcept {
  const std::uint32_t block = detail::dtype_info(type).block_elems;
  return tensor.is_matrix && static_cast<std::uint32_t>(tensor.cols) % block == 0 ? type : DType::kF32;
}

void write_encoder_config(const EncoderConfig& config, DType type, detail::GgufWriter& writer) {
  const bool mobile = config.family == detail::EncoderFamily::kMobileBert;
  const std::string architecture = mobile ? "mobilebert" : "bert";
  const auto set = [&](const char* name, std::int32_t value) {
    writer.set(architecture + "." + name, static_cast<std::uint32_t>(value));
  };
  writer.set("general.architecture", architecture);
  writer.set("general.file_type", type == DType::kF32   ? std::uint32_t{0}
                                  : type == DType::kF16 ? std::uint32_t{1}
                                                        : std::uint32_t{7});
  set("context_length", config.max_positions);
  set("embedding_length", config.d_model);
  set("feed_forward_length", config.d_ff);
  set("block_count", config.n_layers);
  set("attention.head_count", config.n_heads);
  set("pooling_type", 0);
  writer.set(architecture + ".attention.layer_norm_epsilon", config.norm_epsilon);
  writer.set(architecture + ".attention.causal", false);
  if (!mobile) return;
  set("embedding_size", config.d_embedding);
  set("feed_forward_count", config.n_ffn);
  if (config.bottleneck) set("bottleneck_length", config.d_inner);
  writer.set("mobilebert.trigram", config.trigram);
  writer.set("mobilebert.bottleneck", config.bottleneck);
  writer.set("mobilebert.bottleneck_attention", config.bottleneck_attention);
  writer.set("mobilebert.activation",
             config.activation == detail::EncoderActivation::kRelu ? "relu" : "gelu");
  writer.set("mobilebert.normalization",
             config.norm == detail::EncoderNorm::kNoNorm ? "no_norm" : "layer_norm");
}

void write_byte_array(const std::string& key, std::span<const std::uint8_t> bytes,
                      detail::GgufWriter& writer) {
  detail::GgufValue value;
  value.key = key;
  value.type = detail::GgufType::kArray;
  value.element_type = detail::GgufType::kUint8;
  value.count = bytes.size();
  value.bytes = bytes;
  writer.set(value);
}

}  // namespace elms::inline v0::offline
