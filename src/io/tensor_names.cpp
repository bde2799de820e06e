#include "io/tensor_names.hpp"

#include "elms/detail/error.hpp"

namespace elms::inline v0::detail {
namespace {

using enum TensorSize;
using enum TensorPresence;

constexpr TensorSpec kModelTensors[] = {
    {"token_embd.weight", "model.embed_tokens.weight", kVocab, kModel, kAlways, false},
    {"rope_freqs.weight", "", kOne, kRopePairs, kRopeDivisors, false},
    {"output_norm.weight", "model.norm.weight", kOne, kModel, kAlways, false},
    {"output.weight", "lm_head.weight", kVocab, kModel, kUntiedHead, false},
};

constexpr TensorSpec kLayerTensors[] = {
    {"attn_norm.weight", "input_layernorm.weight", kOne, kModel, kAlways, false},
    {"attn_q.weight", "self_attn.q_proj.weight", kQuery, kModel, kAlways, true},
    {"attn_q.bias", "self_attn.q_proj.bias", kOne, kQuery, kQkvBias, true},
    {"attn_q_norm.weight", "self_attn.q_norm.weight", kOne, kHeadDim, kQkNorm, false},
    {"attn_k.weight", "self_attn.k_proj.weight", kKeyValue, kModel, kAlways, true},
    {"attn_k.bias", "self_attn.k_proj.bias", kOne, kKeyValue, kQkvBias, true},
    {"attn_k_norm.weight", "self_attn.k_norm.weight", kOne, kHeadDim, kQkNorm, false},
    {"attn_v.weight", "self_attn.v_proj.weight", kKeyValue, kModel, kAlways, false},
    {"attn_v.bias", "self_attn.v_proj.bias", kOne, kKeyValue, kQkvBias, false},
    {"attn_output.weight", "self_attn.o_proj.weight", kModel, kQuery, kAlways, false},
    {"attn_output.bias", "self_attn.o_proj.bias", kOne, kModel, kOutputBias, false},
    {"ffn_norm.weight", "post_attention_layernorm.weight", kOne, kModel, kAlways, false},
    {"ffn_gate.weight", "mlp.gate_proj.weight", kFf, kModel, kAlways, false},
    {"ffn_up.weight", "mlp.up_proj.weight", kFf, kModel, kAlways, false},
    {"ffn_down.weight", "mlp.down_proj.weight", kModel, kFf, kAlways, false},
};

bool is_present(TensorPresence presence, const ModelConfig& config) {
  switch (presence) {
    case kAlways:
      return true;
    case kUntiedHead:
      return !config.tied_head;
    case kQkvBias:
      return config.qkv_bias;
    case kOutputBias:
      return config.output_bias;
    case kQkNorm:
      return config.qk_norm;
    case kRopeDivisors:
      return !config.rope.divisors.empty();
  }
  return false;
}

std::uint64_t size_of(TensorSize size, const ModelConfig& config, const LayerShape& layer) {
  const auto head_dim = static_cast<std::uint64_t>(config.head_dim);
  switch (size) {
    case kOne:
      return 1;
    case kModel:
      return static_cast<std::uint64_t>(config.d_model);
    case kVocab:
      return static_cast<std::uint64_t>(config.n_vocab);
    case kQuery:
      return static_cast<std::uint64_t>(layer.q_heads) * head_dim;
    case kKeyValue:
      return static_cast<std::uint64_t>(layer.kv_heads) * head_dim;
    case kFf:
      return static_cast<std::uint64_t>(layer.ff);
    case kHeadDim:
      return head_dim;
    case kRopePairs:
      return static_cast<std::uint64_t>(config.rope.n_rot) / 2;
  }
  return 0;
}

void append_present(std::span<const TensorSpec> specs, const ModelConfig& config, std::int32_t layer,
                    const LayerShape& shape, std::vector<ExpectedTensor>& out) {
  for (const TensorSpec& spec : specs) {
    if (!is_present(spec.presence, config)) continue;
    out.push_back({&spec, layer, size_of(spec.rows, config, shape), size_of(spec.cols, config, shape)});
  }
}

}  // namespace

std::span<const TensorSpec> model_tensor_specs() noexcept {
  return kModelTensors;
}
std::span<const TensorSpec> layer_tensor_specs() noexcept {
  return kLayerTensors;
}

std::string gguf_tensor_name(const TensorSpec& spec, std::int32_t layer) {
  return layer == kNoLayer ? std::string(spec.gguf) : concat("blk.", layer, ".", spec.gguf);
}

std::string hf_tensor_name(const TensorSpec& spec, std::int32_t layer) {
  if (spec.hf.empty()) return gguf_tensor_name(spec, layer);
  return layer == kNoLayer ? std::string(spec.hf) : concat("model.layers.", layer, ".", spec.hf);
}

std::vector<ExpectedTensor> expected_tensors(const ModelConfig& config) {
  std::vector<ExpectedTensor> out;
  out.reserve(std::size(kModelTensors) + config.layers.size() * std::size(kLayerTensors));
  append_present(kModelTensors, config, kNoLayer, {}, out);
  for (std::size_t i = 0; i < config.layers.size(); ++i) {
    append_present(kLayerTensors, config, static_cast<std::int32_t>(i), config.layers[i], out);
  }
  return out;
}

}  // namespace elms::inline v0::detail
