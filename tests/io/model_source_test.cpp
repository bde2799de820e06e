#include "elms/detail/model_source.hpp"

#include <cmath>
#include <limits>

#include "gguf_fixture.hpp"
#include "support.hpp"
#include "tiny_checkpoint.hpp"

using namespace elms;
using namespace elms::detail;
using namespace elms_test;

TEST_CASE("model_source reads the config of a GGUF", "[io][source]") {
  const GgufFixture fixture;
  const auto source = fixture.open();
  REQUIRE_OK(source);
  const ModelConfig& config = (*source)->config();
  REQUIRE(config.architecture == "llama");
  REQUIRE(config.name == "tiny");
  REQUIRE(config.n_layers == 2);
  REQUIRE(config.d_model == 16);
  REQUIRE(config.n_vocab == 20);
  REQUIRE(config.head_dim == 4);
  REQUIRE(config.context_length == 256);
  REQUIRE(config.layers == std::vector<LayerShape>(2, {4, 2, 24}));
  REQUIRE(config.rms_epsilon == 1e-5f);
  REQUIRE(config.rope.style == RopeStyle::kInterleaved);
  REQUIRE(config.rope.n_rot == 4);
  REQUIRE(config.rope.theta == 20000.0f);
  REQUIRE(config.rope.linear_factor == 1.0f);
  REQUIRE(config.rope.divisors.empty());
  REQUIRE_FALSE(config.tied_head);
  REQUIRE_FALSE(config.qkv_bias);
  REQUIRE_FALSE(config.output_bias);
  REQUIRE_FALSE(config.qk_norm);
  REQUIRE((*source)->path() == scratch_path("model.gguf"));
  REQUIRE((*source)->file_bytes() == (*source)->gguf()->file_bytes());
  REQUIRE((*source)->find("blk.2.attn_q.weight") == nullptr);
  REQUIRE((*source)->open_tokenizer().error().code() == StatusCode::kNotFound);
}

TEST_CASE("model_source fills in llama.cpp's defaults", "[io][source]") {
  GgufFixture fixture;
  fixture.shape.kv_heads = 4;
  fixture.tensors = tiny_tensors(fixture.shape, fixture.rng);
  const auto source = fixture.open([](GgufWriter& writer) {
    for (const char* key :
         {"llama.attention.head_count_kv", "llama.attention.key_length", "llama.attention.value_length",
          "llama.rope.dimension_count", "llama.rope.freq_base", "general.name"}) {
      writer.erase(key);
    }
  });
  REQUIRE_OK(source);
  const ModelConfig& config = (*source)->config();
  REQUIRE(config.layers[0] == LayerShape{4, 4, 24});
  REQUIRE(config.head_dim == 4);
  REQUIRE(config.rope.n_rot == 4);
  REQUIRE(config.rope.theta == 10000.0f);
  REQUIRE(config.name.empty());
}

TEST_CASE("model_source reads layers that differ", "[io][source]") {
  GgufFixture fixture;
  for (const char* name : {"blk.1.attn_q.weight", "blk.1.ffn_gate.weight", "blk.1.ffn_up.weight"}) {
    TinyTensor& tensor = fixture.tensor(name);
    tensor.rows /= 2;
    tensor.values.resize(tensor.rows * tensor.cols);
  }
  for (const char* name : {"blk.1.attn_output.weight", "blk.1.ffn_down.weight"}) {
    TinyTensor& tensor = fixture.tensor(name);
    tensor.cols /= 2;
    tensor.values.resize(tensor.rows * tensor.cols);
  }
  const auto as_deci = [](std::vector<std::uint32_t> heads, std::vector<std::uint32_t> kv_heads,
                          std::vector<std::uint32_t> ff) {
    return [=](GgufWriter& writer) {
      writer.set("general.architecture", "deci");
      for (const char* key : {"block_count", "context_length", "embedding_length", "attention.key_length",
                              "attention.value_length"}) {
        const std::uint32_t values[] = {2, 256, 16, 4, 4};
        static const std::string names[] = {"block_count", "context_length", "embedding_length",
                                            "attention.key_length", "attention.value_length"};
        for (int i = 0; i < 5; ++i) {
          if (names[i] == key) writer.set("deci." + names[i], values[i]);
        }
      }
      writer.set("deci.attention.layer_norm_rms_epsilon", 1e-5f);
      writer.set("deci.attention.head_count", std::span<const std::uint32_t>(heads));
      writer.set("deci.attention.head_count_kv", std::span<const std::uint32_t>(kv_heads));
      writer.set("deci.feed_forward_length", std::span<const std::uint32_t>(ff));
    };
  };
  const auto source = fixture.open(as_deci({4, 2}, {2, 2}, {24, 12}));
  REQUIRE_OK(source);
  REQUIRE((*source)->config().architecture == "deci");
  REQUIRE((*source)->config().layers == std::vector<LayerShape>{{4, 2, 24}, {2, 2, 12}});
  REQUIRE((*source)->config().rope.style == RopeStyle::kInterleaved);

  fixture.refuses(as_deci({4, 4}, {2, 2}, {24, 12}), StatusCode::kMalformedFile,
                  "tensor blk.1.attn_q.weight: expected shape [16, 16], found [8, 16]");
  fixture.refuses(as_deci({4, 2}, {2, 2}, {24, 24}), StatusCode::kMalformedFile,
                  "tensor blk.1.ffn_gate.weight: expected shape [24, 16], found [12, 16]");
  fixture.refuses(as_deci({4, 2}, {2, 2}, {24}), StatusCode::kMalformedFile,
                  "deci.feed_forward_length: expected one number or 2, found 1");
  fixture.refuses(as_deci({4, 2, 2}, {2, 2}, {24, 12}), StatusCode::kMalformedFile,
                  "deci.attention.head_count: expected one number or 2, found 3");
  fixture.refuses(as_deci({4, 2}, {}, {24, 12}), StatusCode::kMalformedFile, "deci.attention.head_count_kv");
  fixture.refuses(as_deci({4, 0}, {2, 2}, {24, 12}), StatusCode::kUnsupported,
                  "deci.attention.head_count: layer 1 has none");
  fixture.refuses(as_deci({4, 2}, {0, 2}, {24, 12}), StatusCode::kUnsupported,
                  "deci.attention.head_count_kv: layer 0 has none");
  fixture.refuses(as_deci({4, 2}, {2, 2}, {24, 0}), StatusCode::kUnsupported,
                  "deci.feed_forward_length: layer 1 has none");
}

TEST_CASE("model_source reads rotary scaling", "[io][source]") {
  GgufFixture fixture;
  const auto factor = [&](const Change& change) {
    const auto source = fixture.open(change);
    REQUIRE_OK(source);
    return (*source)->config().rope.linear_factor;
  };
  REQUIRE(factor(set("llama.rope.scaling.factor", 4.0f)) == 4.0f);
  REQUIRE(factor(set("llama.rope.scaling.factor", 0.0f)) == 1.0f);
  REQUIRE(factor(set("llama.rope.scale_linear", 8.0f)) == 8.0f);
  REQUIRE(factor([](GgufWriter& writer) {
            writer.set("llama.rope.scaling.type", "linear");
            writer.set("llama.rope.scaling.factor", 2.0f);
            writer.set("llama.rope.scale_linear", 8.0f);
          }) == 2.0f);
  REQUIRE(factor([](GgufWriter& writer) {
            writer.set("llama.rope.scaling.type", "none");
            writer.set("llama.rope.scaling.factor", 2.0f);
          }) == 1.0f);
  for (const char* type : {"yarn", "longrope", "Linear", ""}) {
    fixture.refuses(set("llama.rope.scaling.type", type), StatusCode::kUnsupported,
                    std::string("llama.rope.scaling.type: elms runs none and linear, found ") + type);
  }
}

TEST_CASE("model_source reads the divisors of llama3 scaling", "[io][source]") {
  GgufFixture fixture;
  fixture.add_vector("rope_freqs.weight", 2);
  fixture.tensors.back().values = {1.0f, 32.0f};
  const auto source = fixture.open();
  REQUIRE_OK(source);
  REQUIRE((*source)->config().rope.divisors == std::vector<float>{1.0f, 32.0f});
  REQUIRE((*source)->find("rope_freqs.weight") != nullptr);
  for (const float bad :
       {0.0f, -1.0f, std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    fixture.tensors.back().values = {1.0f, bad};
    fixture.refuses({}, StatusCode::kMalformedFile, "rotary frequency divisor 1");
  }
  fixture.tensors.back() = {"rope_freqs.weight", "", 1, 4, true, false, {1, 1, 1, 1}};
  fixture.refuses({}, StatusCode::kMalformedFile,
                  "tensor rope_freqs.weight: expected 2 values, found 1 rows of 4");
  fixture.tensors.back() = {"rope_freqs.weight", "", 2, 2, false, false, {1, 1, 1, 1}};
  fixture.refuses({}, StatusCode::kMalformedFile,
                  "tensor rope_freqs.weight: expected 2 values, found 2 rows of 2");

  GgufFixture qwen;
  qwen.shape.model_type = "qwen2";
  qwen.tensors = tiny_tensors(qwen.shape, qwen.rng);
  qwen.add_vector("rope_freqs.weight", 2);
  qwen.refuses({}, StatusCode::kUnsupported,
               "tensor rope_freqs.weight is not part of a model of architecture qwen2");
}

TEST_CASE("model_source reads optional biases", "[io][source]") {
  GgufFixture fixture;
  fixture.shape.attention_bias = true;
  fixture.tensors = tiny_tensors(fixture.shape, fixture.rng);
  auto source = fixture.open();
  REQUIRE_OK(source);
  REQUIRE((*source)->config().qkv_bias);
  REQUIRE((*source)->config().output_bias);

  std::vector<TinyTensor> all = fixture.tensors;
  const auto without = [&](const std::string& name) {
    fixture.tensors = all;
    std::erase_if(fixture.tensors, [&](const TinyTensor& tensor) { return tensor.gguf == name; });
    return fixture.open();
  };
  // The first layer speaks for all.
  GgufFixture::require(without("blk.0.attn_output.bias"), StatusCode::kUnsupported,
                       "tensor blk.1.attn_output.bias is not part");
  GgufFixture::require(without("blk.1.attn_output.bias"), StatusCode::kMalformedFile,
                       "tensor blk.1.attn_output.bias is missing");
  GgufFixture::require(without("blk.0.attn_k.bias"), StatusCode::kMalformedFile,
                       "tensor blk.0.attn_k.bias is missing");
}

TEST_CASE("model_source copies the metadata of a GGUF", "[io][source]") {
  const GgufFixture fixture;
  const auto source = fixture.open([](GgufWriter& writer) {
    writer.set("general.file_type", 7u);
    writer.set("elms.version", 1u);
    writer.set("other.key", 1u);
    writer.set("qwen2.block_count", 1u);
    writer.set("tokenizer.ggml.model", "llama");
    writer.set("llama.some.new_key", 5u);
  });
  REQUIRE_OK(source);
  const auto copy =
      ModelSource::open(write_gguf("copy.gguf", fixture.shape, fixture.tensors, [&](GgufWriter& writer) {
        for (const GgufValue& value : (*source)->gguf()->values())
          writer.erase(value.key);  // only what copy_metadata writes
        REQUIRE_OK((*source)->copy_metadata(writer));
      }));
  REQUIRE_OK(copy);
  const GgufFile& file = *(*copy)->gguf();
  for (const char* key : {"general.architecture", "general.name", "llama.block_count", "llama.some.new_key",
                          "tokenizer.ggml.model"}) {
    REQUIRE(file.find(key) != nullptr);
  }
  for (const char* key : {"general.file_type", "elms.version", "other.key", "qwen2.block_count"}) {
    REQUIRE(file.find(key) == nullptr);
  }
  REQUIRE((*copy)->config().layers == (*source)->config().layers);
}

TEST_CASE("model_source opens a trained model", "[io][source]") {
  ELMS_REQUIRE_SHARED(path, "models/stories260K.gguf");
  const auto source = ModelSource::open(path);
  REQUIRE_OK(source);
  const ModelConfig& config = (*source)->config();
  REQUIRE(config.architecture == "llama");
  REQUIRE(config.d_model == 64);
  REQUIRE(config.head_dim == 8);
  REQUIRE(config.n_vocab == 512);
  REQUIRE(config.layers == std::vector<LayerShape>(5, {8, 4, 172}));
  // Rows of trained weights are finite, and no row of the embedding is empty.
  const SourceTensor* embedding = (*source)->find("token_embd.weight");
  std::vector<float> row(64);
  for (std::uint64_t r = 0; r < embedding->rows; ++r) {
    embedding->decode_row(r, row.data());
    float norm = 0;
    for (const float value : row) norm += value * value;
    REQUIRE(std::isfinite(norm));
    REQUIRE(norm > 0);
  }
}
