#include <limits>
#include <string>
#include <vector>

#include "gguf_fixture.hpp"
#include "support.hpp"
#include "tiny_checkpoint.hpp"

using namespace elms;
using namespace elms::detail;
using namespace elms_test;

TEST_CASE("model_source asks for every key that has no default", "[io][source]") {
  const GgufFixture fixture;
  for (const char* key : {"general.architecture", "llama.block_count", "llama.context_length",
                          "llama.embedding_length", "llama.feed_forward_length", "llama.attention.head_count",
                          "llama.attention.layer_norm_rms_epsilon"}) {
    fixture.refuses(erase(key), StatusCode::kNotFound, key);
  }
}

TEST_CASE("model_source rejects a key of the wrong type", "[io][source]") {
  const GgufFixture fixture;
  const std::string keys[] = {"llama.block_count",
                              "llama.context_length",
                              "llama.embedding_length",
                              "llama.feed_forward_length",
                              "llama.attention.head_count",
                              "llama.attention.head_count_kv",
                              "llama.attention.key_length",
                              "llama.attention.value_length",
                              "llama.rope.dimension_count",
                              "llama.vocab_size",
                              "llama.attention.layer_norm_rms_epsilon",
                              "llama.rope.freq_base",
                              "llama.rope.scaling.factor",
                              "llama.attention.sliding_window",
                              "llama.expert_count",
                              "llama.attention.scale"};
  for (const std::string& key : keys) {
    fixture.refuses(set(key, "seven"), StatusCode::kMalformedFile, key);
    fixture.refuses(set_list(key, std::vector<float>{1, 2, 3}), StatusCode::kMalformedFile, key);
  }
  for (const char* key : {"general.architecture", "llama.rope.scaling.type", "general.type"}) {
    fixture.refuses(set(key, 7u), StatusCode::kMalformedFile, key);
  }
}

TEST_CASE("model_source rejects absurd sizes before it takes memory for them", "[io][source]") {
  const GgufFixture fixture;
  for (const char* key : {"llama.context_length", "llama.embedding_length", "llama.attention.key_length",
                          "llama.attention.value_length", "llama.rope.dimension_count", "llama.vocab_size",
                          "llama.block_count"}) {
    fixture.refuses(set(key, 0u), StatusCode::kMalformedFile, key);
    fixture.refuses(set(key, -5), StatusCode::kMalformedFile, key);
    fixture.refuses(set(key, 2147483648u), StatusCode::kMalformedFile, key);
    fixture.refuses(set(key, std::uint64_t{1} << 62), StatusCode::kMalformedFile, key);
  }
  fixture.refuses(set("llama.block_count", 2147483647u), StatusCode::kMalformedFile, "only 21 tensors");
  fixture.refuses(set("llama.block_count", 22u), StatusCode::kMalformedFile, "only 21 tensors");
  fixture.refuses(set("llama.block_count", 3u), StatusCode::kMalformedFile,
                  "tensor blk.2.attn_norm.weight is missing");
  fixture.refuses(set("llama.block_count", 1u), StatusCode::kUnsupported,
                  "tensor blk.1.attn_norm.weight is not part");
  fixture.refuses(set("llama.embedding_length", 2147483647u), StatusCode::kMalformedFile,
                  "expected shape [20, 2147483647], found [20, 16]");
  fixture.refuses(set("llama.attention.head_count", 2147483646u), StatusCode::kMalformedFile,
                  "more than elms can address");
  fixture.refuses(set("llama.feed_forward_length", 2147483647u), StatusCode::kMalformedFile,
                  "expected shape [2147483647, 16], found [24, 16]");
}

TEST_CASE("model_source rejects sizes that contradict each other", "[io][source]") {
  const GgufFixture fixture;
  fixture.refuses(set("llama.attention.head_count_kv", 3u), StatusCode::kMalformedFile, "found 4 and 3");
  fixture.refuses(set("llama.attention.head_count_kv", 8u), StatusCode::kMalformedFile, "found 4 and 8");
  fixture.refuses(set("llama.attention.head_count", 6u), StatusCode::kMalformedFile,
                  "tensor blk.0.attn_q.weight: expected shape [24, 16], found [16, 16]");
  fixture.refuses(
      [](GgufWriter& writer) {
        writer.set("llama.attention.key_length", 5u);
        writer.set("llama.attention.value_length", 5u);
      },
      StatusCode::kMalformedFile, "expected an even number, found 5");
  fixture.refuses(set("llama.attention.value_length", 8u), StatusCode::kUnsupported,
                  "llama.attention.value_length");
  fixture.refuses(
      [](GgufWriter& writer) {
        writer.erase("llama.attention.key_length");
        writer.set("llama.attention.head_count", 5u);
      },
      StatusCode::kMalformedFile,
      "llama.embedding_length: expected a multiple of the 5 query heads, found 16");
  fixture.refuses(set("llama.vocab_size", 21u), StatusCode::kMalformedFile,
                  "llama.vocab_size: expected the 20 rows");
  fixture.refuses(
      [](GgufWriter& writer) {
        const std::vector<std::string_view> tokens(19, "x");
        writer.set("tokenizer.ggml.tokens", std::span<const std::string_view>(tokens));
      },
      StatusCode::kMalformedFile,
      "tokenizer.ggml.tokens: expected the 20 rows of token_embd.weight, found 19");
}

TEST_CASE("model_source rejects numbers that no computation survives", "[io][source]") {
  const GgufFixture fixture;
  const float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
  for (const float value : {0.0f, -1e-5f, nan, inf}) {
    fixture.refuses(set("llama.attention.layer_norm_rms_epsilon", value), StatusCode::kMalformedFile,
                    "epsilon");
    fixture.refuses(set("llama.rope.freq_base", value), StatusCode::kMalformedFile, "rotary base frequency");
    if (value != 0)
      fixture.refuses(set("llama.rope.scaling.factor", value), StatusCode::kMalformedFile,
                      "rotary scaling factor");
  }
  for (const std::uint32_t n : {3u, 1u}) {
    fixture.refuses(set("llama.rope.dimension_count", n), StatusCode::kMalformedFile, "rotary dimensions");
  }
  fixture.refuses(set("llama.rope.dimension_count", 6u), StatusCode::kMalformedFile,
                  "llama.rope.dimension_count: expected at most the head size 4, found 6");
}

TEST_CASE("model_source rejects missing and misshapen tensors", "[io][source]") {
  for (const char* type : {"llama", "qwen2", "qwen3"}) {
    GgufFixture fixture;
    fixture.shape.model_type = type;
    fixture.tensors = tiny_tensors(fixture.shape, fixture.rng);
    REQUIRE_OK(fixture.open());
    const std::vector<TinyTensor> good = fixture.tensors;
    for (std::size_t i = 0; i < good.size(); ++i) {
      INFO(good[i].gguf);
      fixture.tensors = good;
      if (good[i].gguf != "output.weight") {  // without it the head is tied
        fixture.tensors.erase(fixture.tensors.begin() + static_cast<std::ptrdiff_t>(i));
        fixture.refuses({}, StatusCode::kMalformedFile, "tensor " + good[i].gguf + " is missing");
        fixture.tensors = good;
      }
      const std::string part = good[i].gguf == "token_embd.weight"
                                   ? "tensor output.weight: expected shape [21, 16], found [20, 16]"
                                   : "tensor " + good[i].gguf + ": expected shape [";
      if (good[i].vector) {
        fixture.tensors[i].cols += 1;
      } else {
        fixture.tensors[i].rows += 1;
      }
      fixture.tensors[i].values.resize(fixture.tensors[i].rows * fixture.tensors[i].cols);
      fixture.refuses({}, StatusCode::kMalformedFile, part);
    }
  }
}

TEST_CASE("model_source refuses what elms would otherwise ignore", "[io][source]") {
  GgufFixture fixture;
  const std::vector<TinyTensor> good = fixture.tensors;
  for (const char* name : {"blk.0.ffn_gate_exps.weight", "blk.0.attn_qkv.weight", "blk.0.attn_q_norm.weight",
                           "blk.1.ffn_up.bias", "blk.0.post_attention_norm.weight", "output.bias",
                           "blk.2.attn_norm.weight", "token_types.weight", "rope_factors_long.weight",
                           "blk.0.attn_norm.bias", "blk.00.attn_norm.weight"}) {
    fixture.tensors = good;
    fixture.add_vector(name, 16);
    fixture.refuses({}, StatusCode::kUnsupported,
                    std::string("tensor ") + name + " is not part of a model of architecture llama");
  }
  // A fused matrix instead of the ones that elms knows is "unsupported", not "missing".
  fixture.tensors = good;
  fixture.tensor("blk.0.attn_q.weight").gguf = "blk.0.attn_qkv.weight";
  fixture.refuses({}, StatusCode::kUnsupported, "tensor blk.0.attn_qkv.weight");

  fixture.tensors = good;
  for (const char* key : {"llama.expert_count", "llama.expert_used_count", "llama.pooling_type"}) {
    REQUIRE_OK(fixture.open(set(key, 0u)));
    fixture.refuses(set(key, 2u), StatusCode::kUnsupported, key);
  }
  for (const char* key :
       {"llama.attn_logit_softcapping", "llama.final_logit_softcapping", "llama.attention.clamp_kqv",
        "llama.attention.max_alibi_bias", "llama.attention.temperature_scale"}) {
    REQUIRE_OK(fixture.open(set(key, 0.0f)));
    fixture.refuses(set(key, 30.0f), StatusCode::kUnsupported, key);
    fixture.refuses(set(key, std::numeric_limits<float>::quiet_NaN()), StatusCode::kUnsupported, key);
  }
  for (const char* key : {"llama.logit_scale", "llama.residual_scale", "llama.embedding_scale",
                          "llama.rope.scaling.attn_factor"}) {
    REQUIRE_OK(fixture.open(set(key, 1.0f)));
    fixture.refuses(set(key, 0.5f), StatusCode::kUnsupported, key);
  }
  REQUIRE_OK(fixture.open(set("llama.attention.causal", true)));
  fixture.refuses(set("llama.attention.causal", false), StatusCode::kUnsupported, "llama.attention.causal");
  REQUIRE_OK(fixture.open(set("llama.use_parallel_residual", false)));
  fixture.refuses(set("llama.use_parallel_residual", true), StatusCode::kUnsupported,
                  "llama.use_parallel_residual");

  REQUIRE_OK(fixture.open(set("llama.attention.scale", 0.5f)));  // 1 / sqrt(4)
  REQUIRE_OK(fixture.open(set("llama.attention.scale", 0.0f)));
  fixture.refuses(set("llama.attention.scale", 0.25f), StatusCode::kUnsupported, "llama.attention.scale");

  REQUIRE_OK(fixture.open(set("llama.attention.sliding_window", 256u)));
  REQUIRE_OK(fixture.open(set("llama.attention.sliding_window", 0u)));
  fixture.refuses(set("llama.attention.sliding_window", 255u), StatusCode::kUnsupported,
                  "llama.attention.sliding_window");
}

TEST_CASE("model_source refuses files that are no model of a known architecture", "[io][source]") {
  const GgufFixture fixture;
  for (const char* architecture : {"gemma3", "phi3", "LLAMA", "", "qwen2moe", "bert"}) {
    fixture.refuses(
        set("general.architecture", architecture), StatusCode::kUnsupported,
        std::string("general.architecture: elms runs llama, deci, qwen2, qwen3, found ") + architecture);
  }
  fixture.refuses(set("general.type", "adapter"), StatusCode::kUnsupported,
                  "general.type: expected model, found adapter");
  REQUIRE_OK(fixture.open(set("general.type", "model")));
  fixture.refuses(set("split.count", 3u), StatusCode::kUnsupported,
                  "split.count: the model is split into 3 files");
  REQUIRE_OK(fixture.open(set("split.count", 1u)));
  REQUIRE(ModelSource::open(scratch_path("absent.gguf")).error().code() == StatusCode::kNotFound);
}
