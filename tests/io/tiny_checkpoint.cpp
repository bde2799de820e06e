#include "tiny_checkpoint.hpp"

#include <bit>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "elms/detail/dtype.hpp"
#include "support.hpp"

namespace elms_test {
namespace fs = std::filesystem;
using elms::DType;
using elms::detail::concat;
using elms::detail::GgufWriter;

namespace {

std::vector<std::uint8_t> encode(const std::vector<float>& values, const std::string& dtype) {
  std::vector<std::uint8_t> bytes;
  for (const float value : values) {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    if (dtype == "F32") {
      for (int i = 0; i < 4; ++i) bytes.push_back(static_cast<std::uint8_t>(bits >> (8 * i)));
      continue;
    }
    const std::uint16_t half =
        dtype == "BF16" ? static_cast<std::uint16_t>(bits >> 16) : elms::detail::f32_to_f16(value);
    bytes.push_back(static_cast<std::uint8_t>(half));
    bytes.push_back(static_cast<std::uint8_t>(half >> 8));
  }
  return bytes;
}

std::string fresh_directory(const std::string& name) {
  const std::string path = scratch_path(name);
  fs::remove_all(path);
  fs::create_directories(path);
  return path;
}

}  // namespace

std::vector<TinyTensor> tiny_tensors(const TinyShape& shape, std::mt19937& rng) {
  std::vector<TinyTensor> out;
  const auto matrix = [&](const std::string& gguf, const std::string& hf, std::uint64_t rows,
                          std::uint64_t cols, bool rotated = false) {
    out.push_back({gguf, hf, rows, cols, false, rotated, {}});
  };
  const auto vector = [&](const std::string& gguf, const std::string& hf, std::uint64_t size,
                          bool rotated = false) {
    out.push_back({gguf, hf, 1, size, true, rotated, {}});
  };
  const std::uint64_t q = shape.heads * shape.head_dim, kv = shape.kv_heads * shape.head_dim;
  matrix("token_embd.weight", "model.embed_tokens.weight", shape.vocab, shape.d);
  for (std::uint32_t i = 0; i < shape.layers; ++i) {
    const std::string g = "blk." + std::to_string(i) + ".", h = "model.layers." + std::to_string(i) + ".";
    vector(g + "attn_norm.weight", h + "input_layernorm.weight", shape.d);
    matrix(g + "attn_q.weight", h + "self_attn.q_proj.weight", q, shape.d, true);
    matrix(g + "attn_k.weight", h + "self_attn.k_proj.weight", kv, shape.d, true);
    matrix(g + "attn_v.weight", h + "self_attn.v_proj.weight", kv, shape.d);
    matrix(g + "attn_output.weight", h + "self_attn.o_proj.weight", shape.d, q);
    if (shape.qkv_bias()) {
      vector(g + "attn_q.bias", h + "self_attn.q_proj.bias", q, true);
      vector(g + "attn_k.bias", h + "self_attn.k_proj.bias", kv, true);
      vector(g + "attn_v.bias", h + "self_attn.v_proj.bias", kv);
    }
    if (shape.attention_bias) vector(g + "attn_output.bias", h + "self_attn.o_proj.bias", shape.d);
    if (shape.model_type == "qwen3") {
      vector(g + "attn_q_norm.weight", h + "self_attn.q_norm.weight", shape.head_dim);
      vector(g + "attn_k_norm.weight", h + "self_attn.k_norm.weight", shape.head_dim);
    }
    vector(g + "ffn_norm.weight", h + "post_attention_layernorm.weight", shape.d);
    matrix(g + "ffn_gate.weight", h + "mlp.gate_proj.weight", shape.ff, shape.d);
    matrix(g + "ffn_up.weight", h + "mlp.up_proj.weight", shape.ff, shape.d);
    matrix(g + "ffn_down.weight", h + "mlp.down_proj.weight", shape.d, shape.ff);
  }
  vector("output_norm.weight", "model.norm.weight", shape.d);
  if (!shape.tied) matrix("output.weight", "lm_head.weight", shape.vocab, shape.d);

  std::uniform_int_distribution<int> step(-100, 100);
  for (TinyTensor& tensor : out) {
    tensor.values.resize(tensor.rows * tensor.cols);
    for (float& value : tensor.values) value = static_cast<float>(step(rng)) / 64.0f;
  }
  return out;
}

std::vector<float> hf_order(const TinyTensor& tensor, const TinyShape& shape) {
  if (!tensor.rotated || !shape.interleaved()) return tensor.values;
  // The rows of a head are [head_dim / 2, 2] in GGUF and [2, head_dim / 2] in Hugging Face files.
  const std::uint64_t row = tensor.vector ? 1 : tensor.cols;
  const std::uint64_t heads = tensor.values.size() / row / shape.head_dim, half = shape.head_dim / 2;
  std::vector<float> out;
  for (std::uint64_t head = 0; head < heads; ++head) {
    for (std::uint64_t side = 0; side < 2; ++side) {
      for (std::uint64_t pair = 0; pair < half; ++pair) {
        const auto from =
            tensor.values.begin() + static_cast<std::ptrdiff_t>(((head * half + pair) * 2 + side) * row);
        out.insert(out.end(), from, from + static_cast<std::ptrdiff_t>(row));
      }
    }
  }
  return out;
}

std::string hf_config(const TinyShape& shape, const JsonChanges& changes) {
  JsonChanges members = {
      {"model_type", "\"" + shape.model_type + "\""},
      {"num_hidden_layers", std::to_string(shape.layers)},
      {"hidden_size", std::to_string(shape.d)},
      {"intermediate_size", std::to_string(shape.ff)},
      {"num_attention_heads", std::to_string(shape.heads)},
      {"num_key_value_heads", std::to_string(shape.kv_heads)},
      {"head_dim", std::to_string(shape.head_dim)},
      {"vocab_size", std::to_string(shape.vocab)},
      {"max_position_embeddings", "256"},
      {"rms_norm_eps", "1e-05"},
      {"rope_theta", "20000.0"},
      {"hidden_act", "\"silu\""},
      {"tie_word_embeddings", shape.tied ? "true" : "false"},
      {"attention_bias", shape.attention_bias ? "true" : "false"},
  };
  for (const auto& [key, value] : changes) members[key] = value;
  std::string text = "{";
  for (const auto& [key, value] : members) {
    if (value.has_value()) text += concat(text.size() > 1 ? ", " : "", '"', key, "\": ", *value);
  }
  return text + "}";
}

std::vector<HfTensor> hf_tensors(const TinyShape& shape, const std::vector<TinyTensor>& tensors,
                                 const std::string& dtype) {
  std::vector<HfTensor> out;
  for (const TinyTensor& tensor : tensors) {
    std::vector<std::uint64_t> dims = {tensor.rows, tensor.cols};
    if (tensor.vector) dims = {tensor.cols};
    out.push_back({tensor.hf, dtype, dims, encode(hf_order(tensor, shape), dtype)});
  }
  return out;
}

void write_text(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

std::string write_hf(const std::string& name, const TinyShape& shape, const std::vector<TinyTensor>& tensors,
                     const std::string& dtype, int n_shards, const JsonChanges& changes) {
  const std::string directory = fresh_directory(name);
  write_text(directory + "/config.json", hf_config(shape, changes));
  const std::vector<HfTensor> all = hf_tensors(shape, tensors, dtype);
  if (n_shards == 1) {
    write_bytes(directory + "/model.safetensors", safetensors_file(all));
    return directory;
  }
  std::string index = R"({"metadata": {"total_size": 1}, "weight_map": {)";
  std::vector<std::vector<HfTensor>> shards(static_cast<std::size_t>(n_shards));
  for (std::size_t i = 0; i < all.size(); ++i) {
    const std::size_t shard = i % shards.size();
    index += concat(i > 0 ? ", \"" : "\"", all[i].name, "\": \"part-", shard, ".safetensors\"");
    shards[shard].push_back(all[i]);
  }
  for (std::size_t i = 0; i < shards.size(); ++i) {
    write_bytes(directory + "/part-" + std::to_string(i) + ".safetensors", safetensors_file(shards[i]));
  }
  write_text(directory + "/model.safetensors.index.json", index + "}}");
  return directory;
}

std::string write_gguf(const std::string& name, const TinyShape& shape,
                       const std::vector<TinyTensor>& tensors,
                       const std::function<void(GgufWriter&)>& change) {
  const std::string path = scratch_path(name);
  const std::string arch = shape.architecture() + ".";
  GgufWriter writer;
  writer.set("general.architecture", shape.architecture());
  writer.set("general.name", "tiny");
  writer.set(arch + "block_count", shape.layers);
  writer.set(arch + "context_length", std::uint32_t{256});
  writer.set(arch + "embedding_length", shape.d);
  writer.set(arch + "feed_forward_length", shape.ff);
  writer.set(arch + "attention.head_count", shape.heads);
  writer.set(arch + "attention.head_count_kv", shape.kv_heads);
  writer.set(arch + "attention.key_length", shape.head_dim);
  writer.set(arch + "attention.value_length", shape.head_dim);
  writer.set(arch + "attention.layer_norm_rms_epsilon", 1e-5f);
  writer.set(arch + "rope.dimension_count", shape.head_dim);
  writer.set(arch + "rope.freq_base", 20000.0f);
  if (change) change(writer);
  for (const TinyTensor& tensor : tensors) {
    std::vector<std::uint64_t> dims = {tensor.cols, tensor.rows};
    if (tensor.vector) dims = {tensor.cols};
    REQUIRE_OK(writer.add_tensor(tensor.gguf, DType::kF32, dims));
  }
  REQUIRE_OK(writer.begin(path));
  for (const TinyTensor& tensor : tensors) REQUIRE_OK(writer.write(encode(tensor.values, "F32")));
  REQUIRE_OK(writer.finish());
  return path;
}

std::vector<float> all_values(const elms::detail::SourceTensor& tensor) {
  std::vector<float> values(tensor.rows * tensor.cols);
  for (std::uint64_t r = 0; r < tensor.rows; ++r) tensor.decode_row(r, values.data() + r * tensor.cols);
  return values;
}

std::string copy_to_gguf(const elms::detail::ModelSource& source, const std::string& name) {
  const std::string path = scratch_path(name);
  GgufWriter writer;
  REQUIRE_OK(source.copy_metadata(writer));
  for (const elms::detail::SourceTensor& tensor : source.tensors()) {
    const std::uint64_t dims[] = {tensor.cols, tensor.rows};
    REQUIRE_OK(writer.add_tensor(tensor.name, DType::kF32, std::span(dims, tensor.rows == 1 ? 1 : 2)));
  }
  REQUIRE_OK(writer.begin(path));
  for (const elms::detail::SourceTensor& tensor : source.tensors()) {
    const std::vector<float> values = all_values(tensor);
    REQUIRE_OK(
        writer.write({reinterpret_cast<const std::uint8_t*>(values.data()), values.size() * sizeof(float)}));
  }
  REQUIRE_OK(writer.finish());
  return path;
}

}  // namespace elms_test
