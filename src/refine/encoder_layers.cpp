#include "refine/encoder_layers.hpp"

#include <string>
#include <utility>

#include "elms/detail/error.hpp"

namespace elms::inline v0::detail {
namespace {

class LayerLoader {
 public:
  LayerLoader(const EncoderFile& file, EncoderBranch branch, std::int32_t index,
              const LinearSettings& settings)
      : file_(file),
        config_(file.config()),
        branch_(branch),
        prefix_(concat("blk.", index, ".")),
        settings_(settings) {}

  Result<EncoderLayer> load() {
    EncoderLayer layer;
    if (config_.bottleneck) ELMS_RETURN_IF_ERROR(load_bottlenecks(layer));
    ELMS_RETURN_IF_ERROR(load_attention(layer));
    for (std::int32_t i = 0; i < config_.n_ffn; ++i) {
      ELMS_ASSIGN_OR_RETURN(FeedForward ffn, load_ffn(i));
      layer.ffn.push_back(std::move(ffn));
    }
    return layer;
  }

 private:
  Result<Linear> linear(std::string_view name, std::int32_t n_out, std::int32_t n_in,
                        LinearActivation activation = LinearActivation::kNone) const {
    return load_linear(file_, branch_, concat(prefix_, name), n_out, n_in, activation, settings_);
  }
  Result<EncoderNormWeights> norm(std::string_view name, std::int32_t n) const {
    return load_encoder_norm(file_, branch_, concat(prefix_, name), n);
  }

  Status load_bottlenecks(EncoderLayer& layer) const {
    const std::int32_t h = config_.d_model, d = config_.d_inner;
    ELMS_ASSIGN_OR_RETURN(layer.bottleneck_in, linear("bottleneck_in", d, h));
    ELMS_ASSIGN_OR_RETURN(layer.bottleneck_in_norm, norm("bottleneck_in_norm", d));
    ELMS_ASSIGN_OR_RETURN(layer.bottleneck_out, linear("bottleneck_out", h, d));
    ELMS_ASSIGN_OR_RETURN(layer.bottleneck_out_norm, norm("layer_output_norm", h));
    if (config_.bottleneck_attention) return {};
    ELMS_ASSIGN_OR_RETURN(layer.bottleneck_attention, linear("bottleneck_attn", d, h));
    ELMS_ASSIGN_OR_RETURN(layer.bottleneck_attention_norm, norm("bottleneck_attn_norm", d));
    return {};
  }

  Status load_attention(EncoderLayer& layer) const {
    const std::int32_t d = config_.d_inner;
    const std::int32_t d_value_in = config_.bottleneck && !config_.bottleneck_attention ? config_.d_model : d;
    ELMS_ASSIGN_OR_RETURN(layer.query, linear("attn_q", d, d));
    ELMS_ASSIGN_OR_RETURN(layer.key, linear("attn_k", d, d));
    ELMS_ASSIGN_OR_RETURN(layer.value, linear("attn_v", d, d_value_in));
    ELMS_ASSIGN_OR_RETURN(layer.output, linear("attn_output", d, d));
    ELMS_ASSIGN_OR_RETURN(layer.output_norm, norm("attn_output_norm", d));
    return {};
  }

  /// The last one is called like BERT's only one; the norm of a layer without bottlenecks is that of its
  /// output.
  Result<FeedForward> load_ffn(std::int32_t index) const {
    const std::string suffix = index + 1 < config_.n_ffn ? concat(".", index) : std::string();
    const auto activation =
        config_.activation == EncoderActivation::kGelu ? LinearActivation::kGelu : LinearActivation::kRelu;
    const bool is_layer_output = suffix.empty() && !config_.bottleneck;
    FeedForward ffn;
    ELMS_ASSIGN_OR_RETURN(ffn.up,
                          linear(concat("ffn_up", suffix), config_.d_ff, config_.d_inner, activation));
    ELMS_ASSIGN_OR_RETURN(ffn.down, linear(concat("ffn_down", suffix), config_.d_inner, config_.d_ff));
    ELMS_ASSIGN_OR_RETURN(
        ffn.norm, norm(is_layer_output ? std::string("layer_output_norm") : concat("ffn_norm", suffix),
                       config_.d_inner));
    return ffn;
  }

  const EncoderFile& file_;
  const EncoderConfig& config_;
  EncoderBranch branch_;
  std::string prefix_;
  const LinearSettings& settings_;
};

Result<Buffer<float>> load_vector(const EncoderFile& file, EncoderBranch branch, const std::string& name,
                                  std::int32_t n) {
  ELMS_ASSIGN_OR_RETURN(const SourceTensor tensor, file.tensor(branch, name, 1, n));
  ELMS_ASSIGN_OR_RETURN(auto values, Buffer<float>::uninitialized(static_cast<std::size_t>(n)));
  tensor.decode_row(0, values.data());
  return values;
}

}  // namespace

Result<EncoderNormWeights> load_encoder_norm(const EncoderFile& file, EncoderBranch branch,
                                             const std::string& name, std::int32_t n) {
  EncoderNormWeights norm;
  ELMS_ASSIGN_OR_RETURN(norm.weight, load_vector(file, branch, concat(name, ".weight"), n));
  ELMS_ASSIGN_OR_RETURN(norm.bias, load_vector(file, branch, concat(name, ".bias"), n));
  return norm;
}

Result<Linear> load_linear(const EncoderFile& file, EncoderBranch branch, const std::string& name,
                           std::int32_t n_out, std::int32_t n_in, LinearActivation activation,
                           const LinearSettings& settings) {
  ELMS_ASSIGN_OR_RETURN(const SourceTensor weights,
                        file.tensor(branch, concat(name, ".weight"), n_out, n_in));
  ELMS_ASSIGN_OR_RETURN(const SourceTensor bias, file.tensor(branch, concat(name, ".bias"), 1, n_out));
  return make_linear(weights, bias, activation, settings);
}

Result<EncoderLayer> load_encoder_layer(const EncoderFile& file, EncoderBranch branch, std::int32_t index,
                                        const LinearSettings& settings) {
  return LayerLoader(file, branch, index, settings).load();
}

}  // namespace elms::inline v0::detail
