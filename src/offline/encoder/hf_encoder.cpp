#include "offline/encoder/hf_encoder.hpp"

#include <set>
#include <string_view>
#include <utility>

#include "elms/detail/dtype.hpp"
#include "elms/detail/error.hpp"
#include "io/json_file.hpp"
#include "refine/encoder_config.hpp"

namespace elms::inline v0::offline {
namespace {

using detail::EncoderActivation;
using detail::EncoderConfig;
using detail::EncoderFamily;
using detail::EncoderNorm;
using detail::JsonObject;
using detail::StoredTensor;
using detail::unsupported;

constexpr std::uint64_t kMaxConfigBytes = 1 << 20;

/// Parts of published checkpoints that an encoder does not need.
constexpr std::string_view kUnusedParts[] = {"pooler.", "cls.", "classifier.", "qa_outputs.",
                                             "embeddings.position_ids"};

Result<std::string_view> string_or(const JsonObject& object, std::string_view key,
                                   std::string_view otherwise) {
  return object.has(key) ? object.string(key) : Result<std::string_view>(otherwise);
}

Result<EncoderActivation> read_activation(const JsonObject& config, std::string_view otherwise) {
  ELMS_ASSIGN_OR_RETURN(const std::string_view name, string_or(config, "hidden_act", otherwise));
  if (name == "gelu") return EncoderActivation::kGelu;
  if (name == "relu") return EncoderActivation::kRelu;
  return unsupported(config.at("hidden_act"), ": elms runs gelu and relu, found ", name);
}

Status read_common(const JsonObject& config, EncoderConfig& out) {
  ELMS_ASSIGN_OR_RETURN(out.n_vocab, config.count("vocab_size"));
  ELMS_ASSIGN_OR_RETURN(out.d_model, config.count("hidden_size"));
  ELMS_ASSIGN_OR_RETURN(out.d_ff, config.count("intermediate_size"));
  ELMS_ASSIGN_OR_RETURN(out.n_layers, config.count("num_hidden_layers"));
  ELMS_ASSIGN_OR_RETURN(out.n_heads, config.count("num_attention_heads"));
  ELMS_ASSIGN_OR_RETURN(out.max_positions, config.count("max_position_embeddings"));
  ELMS_ASSIGN_OR_RETURN(out.n_token_types, config.count_or("type_vocab_size", 2));
  ELMS_ASSIGN_OR_RETURN(const double epsilon, config.real_or("layer_norm_eps", 1e-12));
  out.norm_epsilon = static_cast<float>(epsilon);
  out.d_inner = out.d_embedding = out.d_model;
  out.n_shared_layers = out.n_layers;
  ELMS_ASSIGN_OR_RETURN(const std::string_view positions,
                        string_or(config, "position_embedding_type", "absolute"));
  if (positions != "absolute") {
    return unsupported(config.at("position_embedding_type"), ": elms runs absolute, found ", positions);
  }
  for (const char* key : {"is_decoder", "add_cross_attention"}) {
    ELMS_ASSIGN_OR_RETURN(const bool set, config.boolean_or(key, false));
    if (set) return unsupported(config.at(key), ": elms runs encoders only");
  }
  return {};
}

Status read_bert(const JsonObject& config, EncoderConfig& out) {
  out.family = EncoderFamily::kBert;
  ELMS_ASSIGN_OR_RETURN(out.activation, read_activation(config, "gelu"));
  if (out.activation != EncoderActivation::kGelu) {
    return unsupported(config.at("hidden_act"), ": BERT in GGUF has gelu, found relu");
  }
  return {};
}

// Defaults are those of transformers' MobileBertConfig.
Status read_mobilebert(const JsonObject& config, EncoderConfig& out) {
  out.family = EncoderFamily::kMobileBert;
  ELMS_ASSIGN_OR_RETURN(out.activation, read_activation(config, "relu"));
  ELMS_ASSIGN_OR_RETURN(out.d_embedding, config.count_or("embedding_size", 128));
  ELMS_ASSIGN_OR_RETURN(out.trigram, config.boolean_or("trigram_input", true));
  ELMS_ASSIGN_OR_RETURN(out.bottleneck, config.boolean_or("use_bottleneck", true));
  ELMS_ASSIGN_OR_RETURN(out.bottleneck_attention, config.boolean_or("use_bottleneck_attention", false));
  ELMS_ASSIGN_OR_RETURN(out.n_ffn, config.count_or("num_feedforward_networks", 4));
  if (out.bottleneck) {
    ELMS_ASSIGN_OR_RETURN(out.d_inner, config.count_or("intra_bottleneck_size", 128));
    ELMS_ASSIGN_OR_RETURN(const bool shares, config.boolean_or("key_query_shared_bottleneck", true));
    if (!shares && !out.bottleneck_attention) {
      return unsupported(config.at("key_query_shared_bottleneck"), ": elms runs true, found false");
    }
  }
  ELMS_ASSIGN_OR_RETURN(const std::string_view norm, string_or(config, "normalization_type", "no_norm"));
  if (norm != "no_norm" && norm != "layer_norm") {
    return unsupported(config.at("normalization_type"), ": elms runs no_norm and layer_norm, found ", norm);
  }
  out.norm = norm == "no_norm" ? EncoderNorm::kNoNorm : EncoderNorm::kLayerNorm;
  return {};
}

Result<EncoderConfig> read_config(const JsonObject& config, std::string_view file) {
  EncoderConfig out;
  ELMS_ASSIGN_OR_RETURN(const std::string_view type, config.string("model_type"));
  if (type != "bert" && type != "mobilebert") {
    return unsupported(config.at("model_type"), ": elms converts encoders of bert and mobilebert, found ",
                       type);
  }
  ELMS_RETURN_IF_ERROR(read_common(config, out));
  ELMS_RETURN_IF_ERROR(type == "bert" ? read_bert(config, out) : read_mobilebert(config, out));
  ELMS_RETURN_IF_ERROR(detail::check_encoder_config(out, file));
  return out;
}

bool is_for_token_classification(const JsonObject& config) {
  const nlohmann::json* architectures = config.find("architectures");
  if (architectures == nullptr || !architectures->is_array() || architectures->empty()) return false;
  const auto* name = (*architectures)[0].get_ptr<const nlohmann::json::string_t*>();
  return name != nullptr && std::string_view(*name).ends_with("ForTokenClassification");
}

std::string_view without_prefix(std::string_view name) {
  for (const std::string_view prefix : {"bert.", "mobilebert."}) {
    if (name.starts_with(prefix)) return name.substr(prefix.size());
  }
  return name;
}

}  // namespace

Result<HfEncoder> HfEncoder::open(const std::string& directory) {
  HfEncoder encoder;
  encoder.directory_ = directory;
  const std::string path = directory + "/config.json";
  ELMS_ASSIGN_OR_RETURN(const detail::JsonFile file, detail::JsonFile::open(path, kMaxConfigBytes));
  auto config = read_config(file.top(), path);
  if (config.error().code() == StatusCode::kNotFound) return detail::malformed(config.error().message());
  if (!config.has_value()) return config.error();
  encoder.config_ = *config;
  encoder.classifies_tokens_ = is_for_token_classification(file.top());
  ELMS_ASSIGN_OR_RETURN(encoder.shards_, detail::open_hf_shards(directory));
  std::size_t n_tensors = 0;
  for (const detail::SafetensorsFile& shard : encoder.shards_) n_tensors += shard.tensors().size();
  if (static_cast<std::size_t>(encoder.config_.n_layers) > n_tensors ||
      static_cast<std::size_t>(encoder.config_.n_ffn) > n_tensors) {
    return detail::malformed(path, ": found ", encoder.config_.n_layers, " layers of ", encoder.config_.n_ffn,
                             " feed-forward networks, but the checkpoint has only ", n_tensors, " tensors");
  }
  ELMS_RETURN_IF_ERROR(encoder.check_names());
  return encoder;
}

const StoredTensor* HfEncoder::find(const std::string& name) const noexcept {
  for (const detail::SafetensorsFile& shard : shards_) {
    for (const StoredTensor& tensor : shard.tensors()) {
      if (without_prefix(tensor.name) == name) return &tensor;
    }
  }
  return nullptr;
}

/// No tensor may be there that the encoder would silently do without.
Status HfEncoder::check_names() const {
  std::set<std::string, std::less<>> known;
  for (const EncoderTensor& tensor : encoder_tensors(config_)) known.insert(tensor.hf_name);
  for (const detail::SafetensorsFile& shard : shards_) {
    for (const StoredTensor& tensor : shard.tensors()) {
      const std::string_view name = without_prefix(tensor.name);
      bool expected = known.contains(name);
      for (const std::string_view part : kUnusedParts) expected |= name.starts_with(part);
      if (!expected)
        return unsupported(shard.name(), ": tensor ", tensor.name, ", which the model would not use");
    }
  }
  return {};
}

Result<detail::SourceTensor> HfEncoder::tensor(const EncoderTensor& wanted) const {
  const StoredTensor* stored = find(wanted.hf_name);
  if (stored == nullptr) return detail::malformed(directory_, ": there is no tensor ", wanted.hf_name);
  const bool is_vector = stored->shape.size() == 1;
  const std::uint64_t rows = is_vector ? 1 : stored->shape.size() == 2 ? stored->shape[0] : 0;
  const std::uint64_t cols = stored->shape.empty() ? 0 : stored->shape.back();
  if (rows != static_cast<std::uint64_t>(wanted.rows) || cols != static_cast<std::uint64_t>(wanted.cols)) {
    std::string shape;
    for (const std::uint64_t n : stored->shape) shape += detail::concat(shape.empty() ? "" : ", ", n);
    return detail::malformed(directory_, ": tensor ", wanted.hf_name, ": expected [", wanted.rows, ", ",
                             wanted.cols, "], found [", shape, "]");
  }
  if (!stored->type.has_value()) {
    return unsupported(directory_, ": tensor ", wanted.hf_name, " has the type ", stored->type_name);
  }
  detail::SourceTensor tensor;
  tensor.name = stored->name;
  tensor.type = *stored->type;
  tensor.rows = rows;
  tensor.cols = cols;
  tensor.data = stored->data;
  return tensor;
}

Result<HfEncoder::KeepLabel> HfEncoder::keep_label() const {
  KeepLabel label;
  if (!classifies_tokens_) return label;
  const std::int32_t d = config_.d_model;
  const StoredTensor* stored = find("classifier.weight");
  if (stored == nullptr || stored->shape.empty() || stored->shape[0] != 2) return label;  // not keep or drop
  ELMS_ASSIGN_OR_RETURN(const auto weight, tensor({"", "classifier.weight", 2, d, true}));
  ELMS_ASSIGN_OR_RETURN(const auto bias, tensor({"", "classifier.bias", 1, 2, false}));
  std::vector<float> drop(static_cast<std::size_t>(d)), biases(2);
  label.weight.resize(static_cast<std::size_t>(d));
  weight.decode_row(0, drop.data());
  weight.decode_row(1, label.weight.data());
  bias.decode_row(0, biases.data());
  for (std::size_t i = 0; i < drop.size(); ++i) label.weight[i] -= drop[i];
  label.bias = biases[1] - biases[0];
  return label;
}

}  // namespace elms::inline v0::offline
