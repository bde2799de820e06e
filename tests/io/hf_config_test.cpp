#include "io/hf_config.hpp"

#include <string>
#include <vector>

#include "support.hpp"
#include "tiny_checkpoint.hpp"

using namespace elms;
using namespace elms::detail;
using namespace elms_test;

namespace {

constexpr std::size_t kManyTensors = 1000;

Result<ModelConfig> read_text(const std::string& text, std::size_t n_tensors = kManyTensors) {
  const auto file = JsonFile::parse(text, "config.json");
  if (!file.has_value()) return file.error();
  return read_hf_config(*file, n_tensors, [](const TensorSpec&, std::int32_t) { return false; });
}

Result<ModelConfig> read(const std::string& model_type, const JsonChanges& changes) {
  TinyShape shape;
  shape.model_type = model_type;
  return read_text(hf_config(shape, changes));
}

void require_status(const Result<ModelConfig>& config, StatusCode code, const std::string& part) {
  INFO(config.error().message());
  REQUIRE(config.error().code() == code);
  REQUIRE(config.error().message().find("config.json: ") != std::string::npos);
  REQUIRE(config.error().message().find(part) != std::string::npos);
}

const std::vector<std::string> kTypes = {"llama", "mistral", "qwen2", "qwen3"};

}  // namespace

TEST_CASE("hf_config reads every family", "[io][hf]") {
  for (const std::string& type : kTypes) {
    const auto config = read(type, {});
    REQUIRE_OK(config);
    REQUIRE(config->architecture == (type == "mistral" ? "llama" : type));
    REQUIRE(config->n_layers == 2);
    REQUIRE(config->d_model == 16);
    REQUIRE(config->n_vocab == 20);
    REQUIRE(config->context_length == 256);
    REQUIRE(config->layers == std::vector<LayerShape>(2, {4, 2, 24}));
    REQUIRE(config->head_dim == 4);
    REQUIRE(config->rms_epsilon == 1e-5f);
    REQUIRE(config->rope.theta == 20000.0f);
    REQUIRE(config->rope.n_rot == 4);
    REQUIRE(config->rope.divisors.empty());
    REQUIRE(config->rope.style == (type.starts_with("qwen") ? RopeStyle::kHalves : RopeStyle::kInterleaved));
    REQUIRE(config->qkv_bias == (type == "qwen2"));
    REQUIRE(config->qk_norm == (type == "qwen3"));
    REQUIRE_FALSE(config->output_bias);
    REQUIRE_FALSE(config->tied_head);
  }
}

TEST_CASE("hf_config fills in transformers' defaults", "[io][hf]") {
  const std::optional<std::string> absent, null = "null";
  for (const auto& none : {absent, null}) {
    const auto config = read("llama", {{"head_dim", none},
                                       {"num_key_value_heads", none},
                                       {"rope_theta", none},
                                       {"rms_norm_eps", none},
                                       {"hidden_act", none},
                                       {"tie_word_embeddings", none},
                                       {"attention_bias", none},
                                       {"rope_scaling", none},
                                       {"rope_parameters", none},
                                       {"sliding_window", none},
                                       {"quantization_config", none}});
    REQUIRE_OK(config);
    REQUIRE(config->head_dim == 4);
    REQUIRE(config->layers[0] == LayerShape{4, 4, 24});
    REQUIRE(config->rope.theta == 10000.0f);
    REQUIRE(config->rms_epsilon == 1e-6f);
  }
}

TEST_CASE("hf_config asks for what has no default", "[io][hf]") {
  for (const char* key : {"model_type", "num_hidden_layers", "hidden_size", "intermediate_size",
                          "num_attention_heads", "vocab_size", "max_position_embeddings"}) {
    require_status(read("llama", {{key, std::nullopt}}), StatusCode::kNotFound,
                   std::string("key ") + key + " is missing");
    require_status(read("llama", {{key, "null"}}), StatusCode::kNotFound,
                   std::string("key ") + key + " is missing");
  }
  require_status(read("qwen3", {{"head_dim", std::nullopt}}), StatusCode::kNotFound,
                 "key head_dim is missing");
}

TEST_CASE("hf_config rejects a value of the wrong type for every key", "[io][hf]") {
  const std::vector<std::string> not_a_count = {"\"7\"", "true", "[7]",        "{\"a\":7}", "7.0",
                                                "0",     "-7",   "2147483648", "1e30"};
  for (const char* key : {"num_hidden_layers", "hidden_size", "intermediate_size", "num_attention_heads",
                          "num_key_value_heads", "head_dim", "vocab_size", "max_position_embeddings"}) {
    for (const std::string& value : not_a_count) {
      require_status(read("llama", {{key, value}}), StatusCode::kMalformedFile,
                     std::string("key ") + key + ": expected a whole number");
    }
  }
  const std::vector<std::string> not_a_number = {"\"7\"", "true", "[7]", "{}"};
  for (const char* key :
       {"rms_norm_eps", "rope_theta", "sliding_window", "partial_rotary_factor", "max_window_layers"}) {
    for (const std::string& value : not_a_number) {
      require_status(read("qwen2", {{key, value}}), StatusCode::kMalformedFile,
                     std::string("key ") + key + ": expected a number");
    }
  }
  for (const char* key : {"tie_word_embeddings", "attention_bias", "use_sliding_window"}) {
    for (const char* value : {"\"true\"", "1", "[]", "{}"}) {
      require_status(read("llama", {{key, value}}), StatusCode::kMalformedFile,
                     std::string("key ") + key + ": expected true or false");
    }
  }
  for (const char* key : {"model_type", "hidden_act"}) {
    for (const char* value : {"true", "1", "[]", "{}"}) {
      require_status(read("llama", {{key, value}}), StatusCode::kMalformedFile,
                     std::string("key ") + key + ": expected a string");
    }
  }
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    for (const char* value : {"true", "1", "[]", "\"linear\""}) {
      require_status(read("llama", {{key, value}}), StatusCode::kMalformedFile,
                     std::string("key ") + key + ": expected an object");
    }
  }
  for (const char* value : {"true", "1", "\"full_attention\"", "[1]", "[[]]"}) {
    require_status(read("llama", {{"layer_types", value}}), StatusCode::kMalformedFile,
                   "key layer_types: expected a list of strings");
  }
}

TEST_CASE("hf_config rejects numbers that contradict each other", "[io][hf]") {
  const auto malformed_by = [](const JsonChanges& changes, const std::string& part) {
    require_status(read("llama", changes), StatusCode::kMalformedFile, part);
  };
  malformed_by({{"num_attention_heads", "5"}, {"num_key_value_heads", "2"}},
               "multiple of the key/value heads, found 5 and 2");
  malformed_by({{"num_key_value_heads", "8"}}, "found 4 and 8");
  malformed_by({{"head_dim", "5"}}, "head size: expected an even number, found 5");
  malformed_by({{"head_dim", std::nullopt}, {"num_attention_heads", "6"}},
               "key hidden_size: expected a multiple of the 6");
  malformed_by({{"num_attention_heads", "2147483646"}, {"head_dim", "64"}}, "more than elms can address");
  malformed_by({{"num_hidden_layers", "2147483647"}},
               "key num_hidden_layers: found 2147483647 layers, but the checkpoint has only 1000");
  for (const char* value : {"0", "-1e-5", "1e-60"}) malformed_by({{"rms_norm_eps", value}}, "epsilon");
  for (const char* value : {"0", "-1", "0.0", "1e39"})
    malformed_by({{"rope_theta", value}}, "rotary base frequency");
}

TEST_CASE("hf_config reads rotary scaling in old and new form", "[io][hf]") {
  const auto linear = [](const JsonChanges& changes) {
    const auto config = read("qwen2", changes);
    REQUIRE_OK(config);
    return config->rope;
  };
  REQUIRE(linear({{"rope_scaling", R"({"type":"linear","factor":4})"}}).linear_factor == 4.0f);
  REQUIRE(linear({{"rope_scaling", R"({"rope_type":"linear","factor":4.5})"}}).linear_factor == 4.5f);
  REQUIRE(linear({{"rope_scaling", R"({"rope_type":"default"})"}}).linear_factor == 1.0f);
  REQUIRE(linear({{"rope_scaling", "{}"}}).linear_factor == 1.0f);
  const RopeConfig rope =
      linear({{"rope_theta", std::nullopt},
              {"rope_parameters", R"({"rope_type":"linear","factor":2,"rope_theta":5e5})"}});
  REQUIRE(rope.linear_factor == 2.0f);
  REQUIRE(rope.theta == 5e5f);
  REQUIRE(
      linear({{"rope_parameters", R"({"full_attention":{"rope_type":"default","rope_theta":7e3}})"}}).theta ==
      7e3f);
}

TEST_CASE("hf_config rejects rotary scaling that elms does not compute", "[io][hf]") {
  const std::string llama3 =
      R"("rope_type":"llama3","factor":8,"low_freq_factor":1,"high_freq_factor":4,"original_max_position_embeddings":8192)";
  REQUIRE_OK(read("llama", {{"rope_scaling", "{" + llama3 + "}"}}));
  REQUIRE_OK(read("mistral", {{"rope_scaling", "{" + llama3 + "}"}}));
  require_status(read("qwen2", {{"rope_scaling", "{" + llama3 + "}"}}), StatusCode::kUnsupported,
                 "found llama3");
  for (const char* type : {"yarn", "longrope", "dynamic", "su", "mrope"}) {
    const std::string scaling = std::string(R"({"factor":2,"rope_type":")") + type + "\"}";
    require_status(
        read("llama", {{"rope_scaling", scaling}}), StatusCode::kUnsupported,
        std::string(
            "key rope_scaling.rope_type: elms runs default and linear and llama3 for this family, found ") +
            type);
  }
  require_status(read("llama", {{"partial_rotary_factor", "0.5"}}), StatusCode::kUnsupported,
                 "partial_rotary_factor");
  require_status(read("llama", {{"rope_parameters", R"({"partial_rotary_factor":0.5})"}}),
                 StatusCode::kUnsupported, "rope_parameters.partial_rotary_factor");
  for (const char* factor : {"0", "-2", "\"2\"", "true"}) {
    require_status(
        read("llama", {{"rope_scaling", std::string(R"({"type":"linear","factor":)") + factor + "}"}}),
        StatusCode::kMalformedFile, "key rope_scaling.factor");
  }
  require_status(read("llama", {{"rope_scaling", R"({"type":"linear"})"}}), StatusCode::kNotFound,
                 "key rope_scaling.factor is missing");
  require_status(read("llama", {{"rope_scaling", R"({"type":7})"}}), StatusCode::kMalformedFile,
                 "key rope_scaling.type");
  for (const char* key :
       {"factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"}) {
    std::string scaling = "{" + llama3 + "}";
    scaling[scaling.find(key)] = 'x';
    require_status(read("llama", {{"rope_scaling", scaling}}), StatusCode::kNotFound,
                   std::string("key rope_scaling.") + key + " is missing");
    scaling = "{" + llama3 + ",\"" + key + "\":0}";  // the last of two counts
    require_status(read("llama", {{"rope_scaling", scaling}}), StatusCode::kMalformedFile,
                   std::string("key rope_scaling.") + key);
  }
  require_status(read("llama", {{"rope_scaling", "{" + llama3 + R"(,"high_freq_factor":1})"}}),
                 StatusCode::kMalformedFile, "more than low_freq_factor");
}

TEST_CASE("hf_config refuses sliding windows only where they would matter", "[io][hf]") {
  const auto window = [](const std::string& type, const JsonChanges& changes, bool runs) {
    const auto config = read(type, changes);
    INFO(type << ": " << config.error().message());
    if (runs) {
      REQUIRE_OK(config);
    } else {
      require_status(config, StatusCode::kUnsupported, "key sliding_window");
    }
  };
  window("mistral", {{"sliding_window", "255"}}, false);
  window("mistral", {{"sliding_window", "256"}}, true);
  window("mistral", {{"sliding_window", "null"}}, true);
  for (const char* type : {"qwen2", "qwen3"}) {
    window(type, {{"sliding_window", "16"}}, true);
    window(type, {{"sliding_window", "16"}, {"use_sliding_window", "false"}}, true);
    window(type, {{"sliding_window", "16"}, {"use_sliding_window", "true"}}, true);  // from layer 28 on
    window(type, {{"sliding_window", "16"}, {"use_sliding_window", "true"}, {"max_window_layers", "2"}},
           true);
    window(type, {{"sliding_window", "16"}, {"use_sliding_window", "true"}, {"max_window_layers", "1"}},
           false);
    window(type, {{"sliding_window", "256"}, {"use_sliding_window", "true"}, {"max_window_layers", "1"}},
           true);
    window(type,
           {{"sliding_window", "16"},
            {"use_sliding_window", "true"},
            {"layer_types", R"(["full_attention","sliding_attention"])"}},
           false);
    window(type,
           {{"sliding_window", "16"},
            {"use_sliding_window", "true"},
            {"layer_types", R"(["full_attention","full_attention"])"}},
           true);
  }
  require_status(read("qwen3", {{"layer_types", R"(["linear_attention","full_attention"])"}}),
                 StatusCode::kUnsupported, "found linear_attention");
}

TEST_CASE("hf_config refuses models that elms does not run", "[io][hf]") {
  require_status(read("gemma2", {}), StatusCode::kUnsupported,
                 "key model_type: elms runs llama, mistral, qwen2, qwen3, found gemma2");
  require_status(read("llama", {{"hidden_act", "\"gelu\""}}), StatusCode::kUnsupported,
                 "key hidden_act: elms runs silu, found gelu");
  REQUIRE_OK(read("llama", {{"hidden_act", "\"swish\""}}));
  for (const char* key : {"quantization_config", "mlp_bias", "num_experts", "num_local_experts",
                          "attn_logit_softcapping", "final_logit_softcapping"}) {
    for (const char* value : {"true", "8", "0.5", "{}", "\"x\""}) {
      require_status(read("llama", {{key, value}}), StatusCode::kUnsupported, std::string("key ") + key);
    }
    for (const char* value : {"false", "0", "0.0", "null"}) REQUIRE_OK(read("llama", {{key, value}}));
  }
}

TEST_CASE("hf_config promises the biases that attention_bias does", "[io][hf]") {
  for (const char* type : {"llama", "qwen3"}) {
    const auto config = read(type, {{"attention_bias", "true"}});
    REQUIRE_OK(config);
    REQUIRE(config->qkv_bias);
    REQUIRE(config->output_bias);
  }
  const auto qwen2 = read("qwen2", {{"attention_bias", "true"}});
  REQUIRE_OK(qwen2);
  REQUIRE_FALSE(qwen2->output_bias);
}

TEST_CASE("json_file rejects what is no small flat JSON object", "[io][hf]") {
  const auto refused = [](const std::string& text, const std::string& part) {
    require_status(read_text(text), StatusCode::kMalformedFile, part);
  };
  const std::string good = hf_config(TinyShape());
  REQUIRE_OK(read_text(good));
  for (std::size_t size = 0; size < good.size(); ++size) refused(good.substr(0, size), "not valid JSON");
  refused("[]", "expected a JSON object, found array");
  refused("7", "expected a JSON object, found number");
  refused("{\"a\": 1e999}", "not valid JSON");
  refused("{\"a\": \"\xc3\"}", "not valid JSON");
  refused("{\"a\": 1} {}", "not valid JSON");
  for (const std::string opening : {"[", "{\"a\":", "[{\"\":"}) {
    std::string bomb = opening;
    while (bomb.size() < 100'000) bomb += opening;
    refused(bomb, "nested at most 32 levels");
  }
  REQUIRE_OK(read_text(good.substr(0, good.size() - 1) +
                       R"(,"note":"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"[["})"));

  const std::string path = scratch_path("big.json");
  write_text(path, "{}" + std::string(100, ' '));
  REQUIRE_OK(JsonFile::open(path, 102));
  REQUIRE(JsonFile::open(path, 101).error().code() == StatusCode::kMalformedFile);
}
