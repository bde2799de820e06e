#include "io/hf_config.hpp"

#include <cmath>
#include <string_view>

#include "elms/detail/error.hpp"
#include "io/hf_rope.hpp"
#include "io/model_family.hpp"

namespace elms::inline v0::detail {
namespace {

using nlohmann::json;

struct HfFamily {
  std::string_view model_type;
  std::string_view architecture;  ///< in GGUF
  bool asks_for_window;           ///< sliding_window counts only where use_sliding_window says so
};
constexpr HfFamily kHfFamilies[] = {
    {"llama", "llama", false},
    {"mistral", "llama", false},
    {"qwen2", "qwen2", true},
    {"qwen3", "qwen3", true},
};

Result<HfFamily> find_hf_family(const JsonObject& config) {
  ELMS_ASSIGN_OR_RETURN(const std::string_view type, config.string("model_type"));
  std::string known;
  for (const HfFamily& family : kHfFamilies) {
    if (family.model_type == type) return family;
    known += concat(known.empty() ? "" : ", ", family.model_type);
  }
  return unsupported(config.at("model_type"), ": elms runs ", known, ", found ", type);
}

// Keys that change what a layer computes; elms runs models where they are absent, null, false or zero.
constexpr std::string_view kRefusedKeys[] = {
    "quantization_config",     "mlp_bias",   "num_experts", "num_local_experts", "attn_logit_softcapping",
    "final_logit_softcapping", "attn_scale", "logit_scale",
};

bool says_nothing(const json& value) {
  if (const auto* flag = value.get_ptr<const json::boolean_t*>()) return !*flag;
  if (const auto* number = value.get_ptr<const json::number_float_t*>()) return *number == 0.0;
  if (const auto* number = value.get_ptr<const json::number_integer_t*>()) return *number == 0;
  return false;
}

Status check_refused(const JsonObject& config) {
  for (const std::string_view key : kRefusedKeys) {
    const json* value = config.find(key);
    if (value != nullptr && !says_nothing(*value))
      return unsupported(config.at(key), ": elms does not run such models");
  }
  if (!config.has("hidden_act")) return {};
  ELMS_ASSIGN_OR_RETURN(const std::string_view activation, config.string("hidden_act"));
  if (activation == "silu" || activation == "swish") return {};  // two names of one function
  return unsupported(config.at("hidden_act"), ": elms runs silu, found ", activation);
}

Status read_sizes(const JsonObject& config, const HfFamily& family, std::size_t n_tensors, ModelConfig& out) {
  ELMS_ASSIGN_OR_RETURN(out.n_layers, config.count("num_hidden_layers"));
  if (static_cast<std::size_t>(out.n_layers) > n_tensors) {
    return malformed(config.at("num_hidden_layers"), ": found ", out.n_layers,
                     " layers, but the checkpoint has only ", n_tensors, " tensors");
  }
  ELMS_ASSIGN_OR_RETURN(out.d_model, config.count("hidden_size"));
  ELMS_ASSIGN_OR_RETURN(out.n_vocab, config.count("vocab_size"));
  ELMS_ASSIGN_OR_RETURN(out.context_length, config.count("max_position_embeddings"));

  LayerShape layer;
  ELMS_ASSIGN_OR_RETURN(layer.q_heads, config.count("num_attention_heads"));
  ELMS_ASSIGN_OR_RETURN(layer.kv_heads, config.count_or("num_key_value_heads", layer.q_heads));
  ELMS_ASSIGN_OR_RETURN(layer.ff, config.count("intermediate_size"));
  out.layers.assign(static_cast<std::size_t>(out.n_layers), layer);

  // The qwen3 class of transformers has a default of its own (128); its files always say the size.
  if (family.model_type == "qwen3" || config.has("head_dim")) {
    ELMS_ASSIGN_OR_RETURN(out.head_dim, config.count("head_dim"));
    return {};
  }
  if (out.d_model % layer.q_heads != 0) {
    return malformed(config.at("hidden_size"), ": expected a multiple of the ", layer.q_heads,
                     " attention heads, found ", out.d_model);
  }
  out.head_dim = out.d_model / layer.q_heads;
  return {};
}

// Whether some layer attends to a window only, going by the kinds of layers that the config lists or implies.
Result<bool> has_windowed_layer(const JsonObject& config, const HfFamily& family, const ModelConfig& model) {
  if (const json* kinds = config.find("layer_types"); kinds != nullptr) {
    if (!kinds->is_array()) {
      return malformed(config.at("layer_types"), ": expected a list of strings, found ", kinds->type_name());
    }
    bool windowed = false;
    for (const json& kind : *kinds) {
      const auto* name = kind.get_ptr<const json::string_t*>();
      if (name == nullptr) {
        return malformed(config.at("layer_types"), ": expected a list of strings, found ", kind.type_name());
      }
      if (*name == "sliding_attention") {
        windowed = true;
      } else if (*name != "full_attention") {
        return unsupported(config.at("layer_types"), ": elms runs full_attention, found ", *name);
      }
    }
    return windowed;
  }
  if (!family.asks_for_window) return true;
  ELMS_ASSIGN_OR_RETURN(const double first,
                        config.real_or("max_window_layers", 28));  // transformers' default
  return !(first >= model.n_layers);
}

Status check_window(const JsonObject& config, const HfFamily& family, const ModelConfig& model) {
  ELMS_ASSIGN_OR_RETURN(const bool asked, config.boolean_or("use_sliding_window", false));
  ELMS_ASSIGN_OR_RETURN(const double window, config.real_or("sliding_window", 0));
  ELMS_ASSIGN_OR_RETURN(const bool windowed, has_windowed_layer(config, family, model));
  const bool in_use = config.has("sliding_window") && windowed && (asked || !family.asks_for_window);
  if (!in_use || window >= model.context_length) return {};
  return unsupported(config.at("sliding_window"),
                     ": elms has no sliding-window attention, found a window of ", window,
                     " in a context of ", model.context_length);
}

Status read_biases(const JsonObject& config, const HfFamily& family,
                   const std::function<bool(const TensorSpec&, std::int32_t)>& has, ModelConfig& out) {
  detect_features(*find_family(out.architecture), has, out);
  ELMS_ASSIGN_OR_RETURN(out.tied_head, config.boolean_or("tie_word_embeddings", false));
  ELMS_ASSIGN_OR_RETURN(const bool attention_bias, config.boolean_or("attention_bias", false));
  if (!attention_bias || family.model_type == "qwen2") return {};  // qwen2 does not look at the key
  out.qkv_bias = true;
  out.output_bias = true;
  return {};
}

}  // namespace

Result<ModelConfig> read_hf_config(const JsonFile& file, std::size_t n_tensors,
                                   const std::function<bool(const TensorSpec&, std::int32_t layer)>& has) {
  const JsonObject config = file.top();
  ELMS_ASSIGN_OR_RETURN(const HfFamily family, find_hf_family(config));
  ELMS_RETURN_IF_ERROR(check_refused(config));
  ModelConfig out;
  out.architecture = family.architecture;
  ELMS_RETURN_IF_ERROR(read_sizes(config, family, n_tensors, out));
  ELMS_ASSIGN_OR_RETURN(const double epsilon, config.real_or("rms_norm_eps", 1e-6));  // transformers' default
  out.rms_epsilon = static_cast<float>(epsilon);
  ELMS_RETURN_IF_ERROR(check_window(config, family, out));
  ELMS_RETURN_IF_ERROR(read_biases(config, family, has, out));
  const ModelFamily& rules = *find_family(out.architecture);
  ELMS_ASSIGN_OR_RETURN(out.rope, read_hf_rope(config, rules, out.head_dim));
  ELMS_RETURN_IF_ERROR(check_config(out, file.name()));
  return out;
}

}  // namespace elms::inline v0::detail
