#include "io/model_family.hpp"

#include <cmath>
#include <limits>

#include "elms/detail/error.hpp"

namespace elms::inline v0::detail {
namespace {

constexpr ModelFamily kFamilies[] = {
    {"llama", RopeStyle::kInterleaved, false, false, true},
    {"deci", RopeStyle::kInterleaved, false, false, true},
    {"qwen2", RopeStyle::kHalves, true, false, false},
    {"qwen3", RopeStyle::kHalves, false, true, false},
};

bool positive(float value) {
  return std::isfinite(value) && value > 0.0f;
}

Status check_layer(const LayerShape& layer, const ModelConfig& config, std::size_t index,
                   const std::string& file) {
  if (layer.q_heads < 1 || layer.kv_heads < 1 || layer.ff < 1) {
    return malformed(file, ": layer ", index,
                     ": expected at least one query head, key/value head and FFN unit, found ", layer.q_heads,
                     ", ", layer.kv_heads, " and ", layer.ff);
  }
  if (layer.q_heads % layer.kv_heads != 0) {
    return malformed(file, ": layer ", index,
                     ": expected the query heads to be a multiple of the key/value heads, found ",
                     layer.q_heads, " and ", layer.kv_heads);
  }
  if (layer.q_heads > std::numeric_limits<std::int32_t>::max() / config.head_dim) {
    return malformed(file, ": layer ", index, ": ", layer.q_heads, " query heads of ", config.head_dim,
                     " values are more than elms can address");
  }
  return {};
}

Status check_rope(const RopeConfig& rope, std::int32_t head_dim, const std::string& file) {
  if (rope.n_rot < 2 || rope.n_rot % 2 != 0 || rope.n_rot > head_dim) {
    return malformed(file, ": rotary dimensions: expected an even number up to the head size ", head_dim,
                     ", found ", rope.n_rot);
  }
  if (!positive(rope.theta)) {
    return malformed(file, ": rotary base frequency: expected a positive number, found ", rope.theta);
  }
  if (!positive(rope.linear_factor)) {
    return malformed(file, ": rotary scaling factor: expected a positive number, found ", rope.linear_factor);
  }
  for (std::size_t i = 0; i < rope.divisors.size(); ++i) {
    if (!positive(rope.divisors[i])) {
      return malformed(file, ": rotary frequency divisor ", i, ": expected a positive number, found ",
                       rope.divisors[i]);
    }
  }
  return {};
}

}  // namespace

const ModelFamily* find_family(std::string_view architecture) noexcept {
  for (const ModelFamily& family : kFamilies) {
    if (family.architecture == architecture) return &family;
  }
  return nullptr;
}

std::string family_names() {
  std::string names;
  for (const ModelFamily& family : kFamilies) {
    if (!names.empty()) names += ", ";
    names += family.architecture;
  }
  return names;
}

void detect_features(const ModelFamily& family,
                     const std::function<bool(const TensorSpec&, std::int32_t layer)>& has,
                     ModelConfig& config) {
  config.qkv_bias = family.needs_qkv_bias;
  config.qk_norm = family.has_qk_norm;
  for (const TensorSpec& spec : model_tensor_specs()) {
    if (spec.presence == TensorPresence::kUntiedHead) config.tied_head = !has(spec, kNoLayer);
  }
  // The first layer speaks for all: a bias that only some layers have is reported as a missing or unknown
  // tensor.
  for (const TensorSpec& spec : layer_tensor_specs()) {
    if (spec.presence == TensorPresence::kQkvBias && has(spec, 0)) config.qkv_bias = true;
    if (spec.presence == TensorPresence::kOutputBias && has(spec, 0)) config.output_bias = true;
  }
}

Status check_config(const ModelConfig& config, const std::string& file) {
  if (config.d_model < 1 || config.n_vocab < 1 || config.n_layers < 1 || config.context_length < 1) {
    return malformed(
        file, ": expected at least one layer, one token, one position and one value per token, found ",
        config.n_layers, ", ", config.n_vocab, ", ", config.context_length, " and ", config.d_model);
  }
  if (config.head_dim < 2 || config.head_dim % 2 != 0) {
    return malformed(file, ": head size: expected an even number, found ", config.head_dim);
  }
  if (!positive(config.rms_epsilon)) {
    return malformed(file, ": RMSNorm epsilon: expected a positive number, found ", config.rms_epsilon);
  }
  ELMS_RETURN_IF_ERROR(check_rope(config.rope, config.head_dim, file));
  for (std::size_t i = 0; i < config.layers.size(); ++i) {
    ELMS_RETURN_IF_ERROR(check_layer(config.layers[i], config, i, file));
  }
  return {};
}

}  // namespace elms::inline v0::detail
