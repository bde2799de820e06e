#include "refine/encoder_config.hpp"

#include <optional>
#include <string>

#include "elms/detail/error.hpp"

namespace elms::inline v0::detail {
namespace {

/// No size of a published encoder comes near; products of two then fit everywhere.
constexpr std::int32_t kMaxSize = 1 << 20;

class EncoderConfigReader {
 public:
  explicit EncoderConfigReader(const GgufFile& file) : file_(file) {}

  Result<EncoderConfig> read() {
    ELMS_ASSIGN_OR_RETURN(const std::string_view architecture, file_.string("general.architecture"));
    if (architecture != "bert" && architecture != "mobilebert") {
      return unsupported(file_.name(), ": general.architecture is '", architecture,
                         "'; elms runs encoders of 'bert' and 'mobilebert'");
    }
    architecture_ = architecture;
    config_.family = architecture == "bert" ? EncoderFamily::kBert : EncoderFamily::kMobileBert;
    ELMS_RETURN_IF_ERROR(read_sizes());
    ELMS_RETURN_IF_ERROR(read_tables());
    if (config_.family == EncoderFamily::kMobileBert) ELMS_RETURN_IF_ERROR(read_mobilebert());
    ELMS_RETURN_IF_ERROR(read_branches());
    ELMS_RETURN_IF_ERROR(check_encoder_config(config_, file_.name()));
    return config_;
  }

 private:
  Status read_sizes() {
    ELMS_ASSIGN_OR_RETURN(config_.d_model, size("embedding_length"));
    ELMS_ASSIGN_OR_RETURN(config_.d_ff, size("feed_forward_length"));
    ELMS_ASSIGN_OR_RETURN(config_.n_layers, size("block_count"));
    ELMS_ASSIGN_OR_RETURN(config_.n_heads, size("attention.head_count"));
    if (static_cast<std::size_t>(config_.n_layers) > file_.tensors().size()) {
      return malformed(file_.name(), ": ", key("block_count"), " is ", config_.n_layers,
                       ", but the file has only ", file_.tensors().size(), " tensors");
    }
    ELMS_ASSIGN_OR_RETURN(const double epsilon, file_.real(key("attention.layer_norm_epsilon")));
    config_.norm_epsilon = static_cast<float>(epsilon);
    ELMS_ASSIGN_OR_RETURN(const bool causal, flag("attention.causal", false));
    if (causal)
      return unsupported(file_.name(), ": ", key("attention.causal"),
                         " is true; elms runs bidirectional encoders");
    config_.d_embedding = config_.d_inner = config_.d_model;
    return {};
  }

  /// What the tables' own shapes say; their columns are checked when they are loaded.
  Status read_tables() {
    const auto rows_of = [&](std::string_view name) -> Result<std::int32_t> {
      const GgufTensor* tensor = file_.find_tensor(name);
      if (tensor == nullptr) return malformed(file_.name(), ": there is no tensor ", name);
      if (tensor->rows() > static_cast<std::uint64_t>(INT32_MAX)) {
        return malformed(file_.name(), ": tensor ", name, " has ", tensor->rows(), " rows");
      }
      return static_cast<std::int32_t>(tensor->rows());
    };
    ELMS_ASSIGN_OR_RETURN(config_.n_vocab, rows_of("token_embd.weight"));
    ELMS_ASSIGN_OR_RETURN(config_.max_positions, rows_of("position_embd.weight"));
    ELMS_ASSIGN_OR_RETURN(config_.n_token_types, rows_of("token_types.weight"));
    ELMS_ASSIGN_OR_RETURN(const std::int32_t context, size("context_length"));
    if (context > config_.max_positions) {
      return malformed(file_.name(), ": ", key("context_length"), " is ", context,
                       ", but position_embd.weight has ", config_.max_positions, " rows");
    }
    config_.max_positions = context;
    return {};
  }

  Status read_mobilebert() {
    ELMS_ASSIGN_OR_RETURN(config_.d_embedding, size("embedding_size"));
    ELMS_ASSIGN_OR_RETURN(config_.n_ffn, size("feed_forward_count"));
    if (static_cast<std::size_t>(config_.n_ffn) > file_.tensors().size()) {
      return malformed(file_.name(), ": ", key("feed_forward_count"), " is ", config_.n_ffn,
                       ", but the file has only ", file_.tensors().size(), " tensors");
    }
    ELMS_ASSIGN_OR_RETURN(config_.trigram, flag("trigram", true));
    ELMS_ASSIGN_OR_RETURN(config_.bottleneck, flag("bottleneck", true));
    ELMS_ASSIGN_OR_RETURN(config_.bottleneck_attention, flag("bottleneck_attention", false));
    if (config_.bottleneck) {
      ELMS_ASSIGN_OR_RETURN(config_.d_inner, size("bottleneck_length"));
    }
    ELMS_ASSIGN_OR_RETURN(const std::string_view activation, file_.string(key("activation")));
    ELMS_ASSIGN_OR_RETURN(const std::string_view norm, file_.string(key("normalization")));
    if (activation != "relu" && activation != "gelu") {
      return unsupported(file_.name(), ": ", key("activation"), " is '", activation,
                         "'; elms runs 'relu' and 'gelu'");
    }
    if (norm != "no_norm" && norm != "layer_norm") {
      return unsupported(file_.name(), ": ", key("normalization"), " is '", norm,
                         "'; elms runs 'no_norm' and 'layer_norm'");
    }
    config_.activation = activation == "relu" ? EncoderActivation::kRelu : EncoderActivation::kGelu;
    config_.norm = norm == "no_norm" ? EncoderNorm::kNoNorm : EncoderNorm::kLayerNorm;
    return {};
  }

  Status read_branches() {
    config_.n_shared_layers = config_.n_layers;
    if (file_.find("elms.refiner.version") == nullptr) return {};
    ELMS_ASSIGN_OR_RETURN(const std::int64_t version, file_.integer("elms.refiner.version"));
    if (version != 1) {
      return unsupported(file_.name(), ": elms.refiner.version is ", version, "; this elms reads 1");
    }
    ELMS_ASSIGN_OR_RETURN(config_.n_shared_layers, count("elms.refiner.shared_layers", config_.n_layers));
    ELMS_ASSIGN_OR_RETURN(config_.n_decision_layers, count("elms.refiner.decision.layers", 0));
    if (config_.n_shared_layers > config_.n_layers) {
      return malformed(file_.name(), ": elms.refiner.shared_layers is ", config_.n_shared_layers,
                       ", but the file has ", config_.n_layers, " layers");
    }
    if (static_cast<std::size_t>(config_.n_decision_layers) > file_.values().size()) {
      return malformed(file_.name(), ": elms.refiner.decision.layers is ", config_.n_decision_layers,
                       ", but the file has only ", file_.values().size(), " keys");
    }
    return {};
  }

  [[nodiscard]] std::string key(std::string_view name) const { return concat(architecture_, ".", name); }

  Result<std::int32_t> size(std::string_view name) const {
    ELMS_ASSIGN_OR_RETURN(const std::int64_t value, file_.integer(key(name)));
    if (value < 1 || value > kMaxSize) {
      return malformed(file_.name(), ": ", key(name), " is ", value, ", expected 1 to ", kMaxSize);
    }
    return static_cast<std::int32_t>(value);
  }

  Result<std::int32_t> count(const std::string& name, std::int32_t otherwise) const {
    if (file_.find(name) == nullptr) return otherwise;
    ELMS_ASSIGN_OR_RETURN(const std::int64_t value, file_.integer(name));
    if (value < 0 || value > kMaxSize) {
      return malformed(file_.name(), ": ", name, " is ", value, ", expected 0 to ", kMaxSize);
    }
    return static_cast<std::int32_t>(value);
  }

  Result<bool> flag(std::string_view name, bool otherwise) const {
    return file_.find(key(name)) == nullptr ? Result<bool>(otherwise) : file_.boolean(key(name));
  }

  const GgufFile& file_;
  std::string architecture_;
  EncoderConfig config_;
};

}  // namespace

Result<EncoderConfig> read_encoder_config(const GgufFile& file) {
  Result<EncoderConfig> config = EncoderConfigReader(file).read();
  if (config.error().code() == StatusCode::kNotFound)
    return malformed(config.error().message());  // a key, not the file
  return config;
}

Status check_encoder_config(const EncoderConfig& config, std::string_view source) {
  for (const std::int32_t size :
       {config.d_embedding, config.d_model, config.d_inner, config.d_ff, config.n_layers, config.n_heads,
        config.n_ffn, config.max_positions, config.n_token_types}) {
    if (size < 1 || size > kMaxSize)
      return malformed(source, ": found a size of ", size, ", expected 1 to ", kMaxSize);
  }
  if (config.max_positions < 3) {
    return malformed(source, ": there are ", config.max_positions,
                     " positions, expected room for [CLS], a token and [SEP]");
  }
  if (config.d_inner % config.n_heads != 0) {
    return malformed(source, ": expected a size of layers that is a multiple of the ", config.n_heads,
                     " attention heads, found ", config.d_inner);
  }
  if (!(config.norm_epsilon >= 0.0f && config.norm_epsilon <= 1.0f)) {
    return malformed(source, ": the epsilon of the layer norm is ", static_cast<double>(config.norm_epsilon));
  }
  return {};
}

}  // namespace elms::inline v0::detail
