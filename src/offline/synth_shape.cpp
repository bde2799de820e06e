// Shapes of random models: those of well-known checkpoints, and any other from JSON.
#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "elms/detail/error.hpp"
#include "offline/synth_model.hpp"

namespace elms::inline v0::offline {
namespace {

using detail::concat;
using detail::invalid_argument;

struct NamedShape {
  std::string_view name;
  SynthShape shape;
};

// From the config.json files of the checkpoints.
const std::vector<NamedShape>& named_shapes() {
  static const std::vector<NamedShape> shapes = {
      {"tinyllama-1.1b",
       {.d_model = 2048, .n_layers = 22, .n_heads = 32, .n_kv_heads = 4, .d_ff = 5632, .n_vocab = 32000}},
      {"qwen2.5-0.5b",
       {.architecture = "qwen2",
        .d_model = 896,
        .n_layers = 24,
        .n_heads = 14,
        .n_kv_heads = 2,
        .d_ff = 4864,
        .n_vocab = 151936,
        .context_length = 32768,
        .rope_theta = 1e6f,
        .tied_head = true,
        .qkv_bias = true}},
      {"llama-3.2-1b",
       {.d_model = 2048,
        .n_layers = 16,
        .n_heads = 32,
        .n_kv_heads = 8,
        .d_ff = 8192,
        .n_vocab = 128256,
        .context_length = 131072,
        .rope_theta = 5e5f,
        .tied_head = true}},
      {"smollm2-135m",
       {.d_model = 576,
        .n_layers = 30,
        .n_heads = 9,
        .n_kv_heads = 3,
        .d_ff = 1536,
        .n_vocab = 49152,
        .context_length = 8192,
        .rope_theta = 1e5f,
        .tied_head = true}},
  };
  return shapes;
}

struct CountField {
  std::string_view name;
  std::int32_t SynthShape::*member;
};
constexpr CountField kCounts[] = {
    {"d_model", &SynthShape::d_model},   {"n_layers", &SynthShape::n_layers},
    {"n_heads", &SynthShape::n_heads},   {"n_kv_heads", &SynthShape::n_kv_heads},
    {"d_ff", &SynthShape::d_ff},         {"n_vocab", &SynthShape::n_vocab},
    {"head_dim", &SynthShape::head_dim}, {"context_length", &SynthShape::context_length},
};

struct FlagField {
  std::string_view name;
  bool SynthShape::*member;
};
constexpr FlagField kFlags[] = {{"tied_head", &SynthShape::tied_head}, {"qkv_bias", &SynthShape::qkv_bias}};

std::string field_names() {
  std::string names = "architecture, rope_theta";
  for (const CountField& field : kCounts) names += concat(", ", field.name);
  for (const FlagField& field : kFlags) names += concat(", ", field.name);
  return names;
}

Status read_field(std::string_view key, const nlohmann::json& value, SynthShape& shape) {
  const auto wrong = [&](std::string_view expected) {
    return invalid_argument("shape: ", key, ": expected ", expected, ", found ", value.dump());
  };
  for (const CountField& field : kCounts) {
    if (field.name != key) continue;
    // Anything above int64 reads as a negative number here, which is refused just the same.
    const std::int64_t number = value.is_number_integer() ? value.get<std::int64_t>() : -1;
    if (number < 0 || number > std::numeric_limits<std::int32_t>::max()) {
      return wrong("a whole number from 0 to 2147483647");
    }
    shape.*field.member = static_cast<std::int32_t>(number);
    return {};
  }
  for (const FlagField& field : kFlags) {
    if (field.name != key) continue;
    if (!value.is_boolean()) return wrong("true or false");
    shape.*field.member = value.get<bool>();
    return {};
  }
  if (key == "architecture") {
    if (!value.is_string()) return wrong("a string");
    shape.architecture = value.get<std::string>();
    return {};
  }
  if (key == "rope_theta") {
    if (!value.is_number()) return wrong("a number");
    shape.rope_theta = value.get<float>();
    return {};
  }
  return invalid_argument("shape: unknown field \"", key, "\"; there are ", field_names());
}

}  // namespace

std::optional<SynthShape> find_shape(std::string_view name) {
  for (const NamedShape& known : named_shapes()) {
    if (known.name == name) return known.shape;
  }
  return std::nullopt;
}

std::vector<std::string_view> shape_names() {
  std::vector<std::string_view> names;
  for (const NamedShape& known : named_shapes()) names.push_back(known.name);
  return names;
}

Result<SynthShape> parse_shape(std::string_view json, std::int32_t n_vocab) {
  const nlohmann::json object = nlohmann::json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (object.is_discarded()) return invalid_argument("shape: this is no valid JSON");
  if (!object.is_object())
    return invalid_argument("shape: expected a JSON object with the fields ", field_names());
  SynthShape shape;
  shape.n_vocab = n_vocab;
  for (const auto& [key, value] : object.items()) ELMS_RETURN_IF_ERROR(read_field(key, value, shape));
  ELMS_RETURN_IF_ERROR(check_shape(shape));
  return shape;
}

Status check_shape(const SynthShape& shape) {
  constexpr std::string_view kArchitectures[] = {"llama", "qwen2", "qwen3"};
  if (std::find(std::begin(kArchitectures), std::end(kArchitectures), shape.architecture) ==
      std::end(kArchitectures)) {
    return invalid_argument("shape: architecture: expected llama, qwen2 or qwen3, found \"",
                            shape.architecture, "\"");
  }
  for (const CountField& field : kCounts) {
    const std::int32_t value = shape.*field.member;
    if (value < 0 || (value == 0 && field.name != "head_dim")) {
      return invalid_argument("shape: ", field.name, ": expected at least 1, found ", value);
    }
  }
  if (shape.n_heads % shape.n_kv_heads != 0) {
    return invalid_argument("shape: n_heads: expected a multiple of the ", shape.n_kv_heads,
                            " KV heads, found ", shape.n_heads);
  }
  if (shape.head_dim == 0 && shape.d_model % shape.n_heads != 0) {
    return invalid_argument("shape: d_model: expected a multiple of the ", shape.n_heads,
                            " heads (or a head_dim), found ", shape.d_model);
  }
  const std::int32_t head_dim = shape.head_dim == 0 ? shape.d_model / shape.n_heads : shape.head_dim;
  if (head_dim % 2 != 0)
    return invalid_argument("shape: head_dim: expected an even number, found ", head_dim);
  if (static_cast<std::int64_t>(shape.n_heads) * head_dim > std::numeric_limits<std::int32_t>::max()) {
    return invalid_argument("shape: ", shape.n_heads, " heads of ", head_dim, " are too many values");
  }
  if (shape.n_vocab < kSynthMinVocab) {
    return invalid_argument("shape: n_vocab: expected at least ", kSynthMinVocab,
                            " (three control tokens, 256 bytes and the space), found ", shape.n_vocab);
  }
  if (!(shape.rope_theta > 0.0f) || shape.rope_theta > 1e12f) {
    return invalid_argument("shape: rope_theta: expected a positive number, found ", shape.rope_theta);
  }
  if (shape.architecture == "qwen3" && shape.qkv_bias) {
    return invalid_argument("shape: qkv_bias: qwen3 has none");
  }
  return {};
}

ModelConfig synth_config(const SynthShape& shape) {
  ModelConfig config;
  config.architecture = shape.architecture;
  config.d_model = shape.d_model;
  config.n_layers = shape.n_layers;
  config.n_vocab = shape.n_vocab;
  config.head_dim = shape.head_dim == 0 ? shape.d_model / shape.n_heads : shape.head_dim;
  config.context_length = shape.context_length;
  config.layers.assign(static_cast<std::size_t>(shape.n_layers),
                       {shape.n_heads, shape.n_kv_heads, shape.d_ff});
  config.rms_epsilon = shape.architecture == "llama" ? 1e-5f : 1e-6f;
  config.rope.style = shape.architecture == "llama" ? RopeStyle::kInterleaved : RopeStyle::kHalves;
  config.rope.n_rot = config.head_dim;
  config.rope.theta = shape.rope_theta;
  config.tied_head = shape.tied_head;
  config.qkv_bias = shape.qkv_bias || shape.architecture == "qwen2";
  config.qk_norm = shape.architecture == "qwen3";
  return config;
}

}  // namespace elms::inline v0::offline
