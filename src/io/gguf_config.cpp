#include "io/gguf_config.hpp"

#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "elms/detail/error.hpp"
#include "io/model_family.hpp"

namespace elms::inline v0::detail {
namespace {

/// The `<architecture>.*` keys of a file, as numbers of a stated range.
class ArchKeys {
 public:
  ArchKeys(const GgufFile& file, std::string architecture)
      : file_(file), architecture_(std::move(architecture)) {}

  [[nodiscard]] std::string key(std::string_view name) const { return concat(architecture_, ".", name); }
  [[nodiscard]] const GgufValue* find(std::string_view name) const { return file_.find(key(name)); }

  /// A size: 1 to 2^31 - 1.
  [[nodiscard]] Result<std::int32_t> count(std::string_view name) const {
    ELMS_ASSIGN_OR_RETURN(const std::int64_t value, file_.integer(key(name)));
    return in_range(name, value);
  }
  [[nodiscard]] Result<std::int32_t> count_or(std::string_view name, std::int32_t otherwise) const {
    if (find(name) == nullptr) return otherwise;
    return count(name);
  }

  /// A size for every layer; a single number is that of all.
  [[nodiscard]] Result<std::vector<std::int32_t>> counts(std::string_view name, std::int32_t n_layers) const {
    const GgufValue* value = find(name);
    if (value != nullptr && value->type == GgufType::kArray &&
        value->count != static_cast<std::uint64_t>(n_layers)) {
      return malformed(file_.name(), ": key ", key(name), ": expected one number or ", n_layers, ", found ",
                       value->count);
    }
    ELMS_ASSIGN_OR_RETURN(const std::vector<std::int64_t> numbers, file_.integers(key(name)));
    std::vector<std::int32_t> out;
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      if (numbers[i] == 0) {
        return unsupported(file_.name(), ": key ", key(name), ": layer ", i,
                           " has none; elms runs only whole layers");
      }
      ELMS_ASSIGN_OR_RETURN(const std::int32_t number, in_range(name, numbers[i]));
      out.push_back(number);
    }
    out.resize(static_cast<std::size_t>(n_layers), out.front());
    return out;
  }

  [[nodiscard]] Result<float> real(std::string_view name) const {
    ELMS_ASSIGN_OR_RETURN(const double value, file_.real(key(name)));
    return static_cast<float>(value);
  }
  [[nodiscard]] Result<float> real_or(std::string_view name, float otherwise) const {
    if (find(name) == nullptr) return otherwise;
    return real(name);
  }

  /// Any scalar as a number, for keys that are compared with the one value that elms can run.
  [[nodiscard]] Result<double> number(std::string_view name) const {
    const GgufType type = find(name)->type;
    if (type == GgufType::kBool) {
      ELMS_ASSIGN_OR_RETURN(const bool value, file_.boolean(key(name)));
      return value ? 1.0 : 0.0;
    }
    if (type == GgufType::kFloat32 || type == GgufType::kFloat64) return file_.real(key(name));
    ELMS_ASSIGN_OR_RETURN(const std::int64_t value, file_.integer(key(name)));
    return static_cast<double>(value);
  }

 private:
  [[nodiscard]] Result<std::int32_t> in_range(std::string_view name, std::int64_t value) const {
    constexpr std::int64_t kMax = std::numeric_limits<std::int32_t>::max();
    if (value >= 1 && value <= kMax) return static_cast<std::int32_t>(value);
    return malformed(file_.name(), ": key ", key(name), ": expected 1 to ", kMax, ", found ", value);
  }

  const GgufFile& file_;
  std::string architecture_;
};

// Keys with which other architectures change what a layer computes. Writers also put them into files where
// they change nothing, so what counts is the value: these two (often the same) are the ones that elms
// computes.
struct NeutralKey {
  std::string_view name;
  double value;
  double also = value;
};
constexpr NeutralKey kNeutralKeys[] = {
    {"expert_count", 0},
    {"expert_used_count", 0},
    {"expert_shared_count", 0},
    {"nextn_predict_layers", 0},
    {"attn_logit_softcapping", 0},
    {"final_logit_softcapping", 0},
    {"logit_scale", 0, 1},
    {"residual_scale", 0, 1},
    {"embedding_scale", 0, 1},
    {"use_parallel_residual", 0},
    {"pooling_type", 0},
    {"attention.causal", 1},
    {"attention.clamp_kqv", 0},
    {"attention.max_alibi_bias", 0},
    {"attention.temperature_length", 0},
    {"attention.temperature_scale", 0},
    {"rope.scaling.attn_factor", 0, 1},
};

Status check_neutral_keys(const GgufFile& file, const ArchKeys& keys) {
  for (const NeutralKey& neutral : kNeutralKeys) {
    if (keys.find(neutral.name) == nullptr) continue;
    ELMS_ASSIGN_OR_RETURN(const double value, keys.number(neutral.name));
    if (value == neutral.value || value == neutral.also) continue;
    return unsupported(file.name(), ": key ", keys.key(neutral.name), ": elms runs only models where it is ",
                       neutral.value, ", found ", value);
  }
  return {};
}

Status check_attention(const GgufFile& file, const ArchKeys& keys, const ModelConfig& config) {
  if (keys.find("attention.sliding_window") != nullptr) {
    ELMS_ASSIGN_OR_RETURN(const double window, keys.number("attention.sliding_window"));
    if (!(window <= 0 || window >= config.context_length)) {
      return unsupported(file.name(), ": key ", keys.key("attention.sliding_window"),
                         ": elms has no sliding-window attention, found a window of ", window,
                         " in a context of ", config.context_length);
    }
  }
  ELMS_ASSIGN_OR_RETURN(const float scale, keys.real_or("attention.scale", 0.0f));
  const float usual = 1.0f / std::sqrt(static_cast<float>(config.head_dim));
  if (scale == 0.0f || std::fabs(scale - usual) <= 1e-6f * usual) return {};
  return unsupported(file.name(), ": key ", keys.key("attention.scale"), ": elms scales attention by ", usual,
                     ", found ", scale);
}

Status read_sizes(const GgufFile& file, const ArchKeys& keys, ModelConfig& config) {
  ELMS_ASSIGN_OR_RETURN(config.n_layers, keys.count("block_count"));
  if (static_cast<std::uint64_t>(config.n_layers) > file.tensors().size()) {
    return malformed(file.name(), ": key ", keys.key("block_count"), ": found ", config.n_layers,
                     " layers, but the file has only ", file.tensors().size(), " tensors");
  }
  ELMS_ASSIGN_OR_RETURN(config.d_model, keys.count("embedding_length"));
  ELMS_ASSIGN_OR_RETURN(config.context_length, keys.count("context_length"));
  ELMS_ASSIGN_OR_RETURN(config.rms_epsilon, keys.real("attention.layer_norm_rms_epsilon"));

  ELMS_ASSIGN_OR_RETURN(const auto q_heads, keys.counts("attention.head_count", config.n_layers));
  std::vector<std::int32_t> kv_heads = q_heads;
  if (keys.find("attention.head_count_kv") != nullptr) {
    ELMS_ASSIGN_OR_RETURN(kv_heads, keys.counts("attention.head_count_kv", config.n_layers));
  }
  ELMS_ASSIGN_OR_RETURN(const auto ff, keys.counts("feed_forward_length", config.n_layers));
  config.layers.resize(static_cast<std::size_t>(config.n_layers));
  for (std::size_t i = 0; i < config.layers.size(); ++i) config.layers[i] = {q_heads[i], kv_heads[i], ff[i]};

  if (keys.find("attention.key_length") == nullptr && config.d_model % q_heads[0] != 0) {
    return malformed(file.name(), ": key ", keys.key("embedding_length"), ": expected a multiple of the ",
                     q_heads[0], " query heads, found ", config.d_model);
  }
  ELMS_ASSIGN_OR_RETURN(config.head_dim, keys.count_or("attention.key_length", config.d_model / q_heads[0]));
  ELMS_ASSIGN_OR_RETURN(const std::int32_t value_dim,
                        keys.count_or("attention.value_length", config.head_dim));
  if (value_dim == config.head_dim) return {};
  return unsupported(file.name(), ": key ", keys.key("attention.value_length"),
                     ": elms runs only models whose keys and values have one size, found ", value_dim,
                     " beside keys of ", config.head_dim);
}

Status read_divisors(const GgufFile& file, RopeConfig& rope) {
  const GgufTensor* tensor = file.find_tensor("rope_freqs.weight");
  if (tensor == nullptr) return {};
  const auto pairs = static_cast<std::uint64_t>(rope.n_rot) / 2;
  if (tensor->cols() != pairs || tensor->rows() != 1) {
    return malformed(file.name(), ": tensor rope_freqs.weight: expected ", pairs, " values, found ",
                     tensor->rows(), " rows of ", tensor->cols());
  }
  rope.divisors.resize(pairs);
  decode_row(tensor->type, tensor->data.data(), pairs, rope.divisors.data());
  return {};
}

Status read_rope(const GgufFile& file, const ArchKeys& keys, const ModelFamily& family, ModelConfig& config) {
  RopeConfig& rope = config.rope;
  rope.style = family.rope_style;
  ELMS_ASSIGN_OR_RETURN(rope.n_rot, keys.count_or("rope.dimension_count", config.head_dim));
  ELMS_ASSIGN_OR_RETURN(rope.theta, keys.real_or("rope.freq_base", rope.theta));
  if (rope.n_rot > config.head_dim) {
    return malformed(file.name(), ": key ", keys.key("rope.dimension_count"),
                     ": expected at most the head size ", config.head_dim, ", found ", rope.n_rot);
  }

  std::string_view type = "linear";  // what a factor without a type has always meant
  if (keys.find("rope.scaling.type") != nullptr) {
    ELMS_ASSIGN_OR_RETURN(type, file.string(keys.key("rope.scaling.type")));
  }
  if (type != "none" && type != "linear") {
    return unsupported(file.name(), ": key ", keys.key("rope.scaling.type"),
                       ": elms runs none and linear, found ", type);
  }
  const bool old_key = keys.find("rope.scaling.factor") == nullptr;
  ELMS_ASSIGN_OR_RETURN(const float factor,
                        keys.real_or(old_key ? "rope.scale_linear" : "rope.scaling.factor", 0.0f));
  if (type == "linear" && factor != 0.0f)
    rope.linear_factor = factor;  // 0 is how some writers say "not scaled"
  return family.has_rope_divisors ? read_divisors(file, rope) : Status();
}

Status read_vocabulary_size(const GgufFile& file, const ArchKeys& keys, ModelConfig& config) {
  const GgufTensor* table = file.find_tensor("token_embd.weight");
  if (table == nullptr) return malformed(file.name(), ": tensor token_embd.weight is missing");
  if (table->rows() > std::numeric_limits<std::int32_t>::max()) {
    return malformed(file.name(), ": tensor token_embd.weight: ", table->rows(),
                     " rows are more tokens than there can be");
  }
  config.n_vocab = static_cast<std::int32_t>(table->rows());
  ELMS_ASSIGN_OR_RETURN(const std::int32_t stated, keys.count_or("vocab_size", config.n_vocab));
  if (stated != config.n_vocab) {
    return malformed(file.name(), ": key ", keys.key("vocab_size"), ": expected the ", config.n_vocab,
                     " rows of token_embd.weight, found ", stated);
  }
  const GgufValue* tokens = file.find("tokenizer.ggml.tokens");
  if (tokens != nullptr && tokens->count != static_cast<std::uint64_t>(config.n_vocab)) {
    return malformed(file.name(), ": key tokenizer.ggml.tokens: expected the ", config.n_vocab,
                     " rows of token_embd.weight, found ", tokens->count);
  }
  return {};
}

// A file that is no whole model of its own.
Status check_kind(const GgufFile& file) {
  if (file.find("general.type") != nullptr) {
    ELMS_ASSIGN_OR_RETURN(const std::string_view type, file.string("general.type"));
    if (type != "model") return unsupported(file.name(), ": key general.type: expected model, found ", type);
  }
  if (file.find("split.count") != nullptr) {
    ELMS_ASSIGN_OR_RETURN(const std::int64_t parts, file.integer("split.count"));
    if (parts > 1) {
      return unsupported(file.name(), ": key split.count: the model is split into ", parts,
                         " files; merge them first (llama-gguf-split --merge)");
    }
  }
  return {};
}

}  // namespace

Result<ModelConfig> read_gguf_config(const GgufFile& file) {
  ELMS_RETURN_IF_ERROR(check_kind(file));
  ELMS_ASSIGN_OR_RETURN(const std::string_view architecture, file.string("general.architecture"));
  const ModelFamily* family = find_family(architecture);
  if (family == nullptr) {
    return unsupported(file.name(), ": key general.architecture: elms runs ", family_names(), ", found ",
                       architecture);
  }
  ModelConfig config;
  config.architecture = architecture;
  if (const auto name = file.string("general.name"); name.has_value()) config.name = *name;

  const ArchKeys keys(file, config.architecture);
  ELMS_RETURN_IF_ERROR(check_neutral_keys(file, keys));
  ELMS_RETURN_IF_ERROR(read_sizes(file, keys, config));
  ELMS_RETURN_IF_ERROR(check_attention(file, keys, config));
  ELMS_RETURN_IF_ERROR(read_rope(file, keys, *family, config));
  ELMS_RETURN_IF_ERROR(read_vocabulary_size(file, keys, config));
  detect_features(
      *family,
      [&](const TensorSpec& spec, std::int32_t layer) {
        return file.find_tensor(gguf_tensor_name(spec, layer)) != nullptr;
      },
      config);
  ELMS_RETURN_IF_ERROR(check_config(config, file.name()));
  return config;
}

}  // namespace elms::inline v0::detail
