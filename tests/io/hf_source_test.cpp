#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <numbers>

#include "elms/detail/model_source.hpp"
#include "support.hpp"
#include "tiny_checkpoint.hpp"

using namespace elms;
using namespace elms::detail;
using namespace elms_test;

namespace {

void require_same_config(const ModelConfig& a, const ModelConfig& b) {
  CHECK(a.architecture == b.architecture);
  CHECK(a.d_model == b.d_model);
  CHECK(a.n_layers == b.n_layers);
  CHECK(a.n_vocab == b.n_vocab);
  CHECK(a.head_dim == b.head_dim);
  CHECK(a.context_length == b.context_length);
  CHECK(a.layers == b.layers);
  CHECK(a.rms_epsilon == b.rms_epsilon);
  CHECK(a.rope.style == b.rope.style);
  CHECK(a.rope.n_rot == b.rope.n_rot);
  CHECK(a.rope.theta == b.rope.theta);
  CHECK(a.rope.linear_factor == b.rope.linear_factor);
  CHECK(a.rope.divisors == b.rope.divisors);
  CHECK(a.tied_head == b.tied_head);
  CHECK(a.qkv_bias == b.qkv_bias);
  CHECK(a.output_bias == b.output_bias);
  CHECK(a.qk_norm == b.qk_norm);
}

/// Every tensor of the model, by the values that the test made, read through `source`.
void require_tensors(const ModelSource& source, const std::vector<TinyTensor>& tensors) {
  REQUIRE(source.tensors().size() == tensors.size());
  for (const TinyTensor& tensor : tensors) {
    INFO(source.path() << ": " << tensor.gguf);
    const SourceTensor* found = source.find(tensor.gguf);
    REQUIRE(found != nullptr);
    REQUIRE(found->name == tensor.gguf);
    REQUIRE(found->rows == tensor.rows);
    REQUIRE(found->cols == tensor.cols);
    REQUIRE(all_values(*found) == tensor.values);
  }
}

std::vector<TinyShape> family_shapes() {
  std::vector<TinyShape> shapes;
  for (const char* type : {"llama", "mistral", "qwen2", "qwen3"}) {
    for (const bool tied : {false, true}) {
      TinyShape shape;
      shape.model_type = type;
      shape.tied = tied;
      shape.head_dim = tied ? 4 : 6;  // 4 heads of 4 make d, 4 of 6 do not
      shape.kv_heads = tied ? 4 : 2;
      shape.attention_bias = tied && (shape.model_type == "llama" || shape.model_type == "qwen3");
      shapes.push_back(shape);
    }
  }
  return shapes;
}

void require_refused(const std::string& path, StatusCode code, const std::string& part) {
  const auto source = ModelSource::open(path);
  INFO(source.error().message());
  REQUIRE(source.error().code() == code);
  REQUIRE(source.error().message().find(part) != std::string::npos);
}

}  // namespace

TEST_CASE("model_source reads the same model from GGUF and from Hugging Face files", "[io][hf]") {
  std::mt19937 rng = make_rng(41);
  for (const TinyShape& shape : family_shapes()) {
    const std::vector<TinyTensor> tensors = tiny_tensors(shape, rng);
    const auto gguf = ModelSource::open(write_gguf("same.gguf", shape, tensors));
    REQUIRE_OK(gguf);
    REQUIRE((*gguf)->gguf() != nullptr);
    require_tensors(**gguf, tensors);
    for (const char* dtype : {"F32", "F16", "BF16"}) {
      INFO(shape.model_type << (shape.tied ? ", tied " : ", ") << dtype);
      const auto hf = ModelSource::open(write_hf("same-hf", shape, tensors, dtype));
      REQUIRE_OK(hf);
      REQUIRE((*hf)->gguf() == nullptr);
      require_same_config((*hf)->config(), (*gguf)->config());
      REQUIRE((*hf)->config().name == "same-hf");
      require_tensors(**hf, tensors);
    }
  }
}

TEST_CASE("model_source rows of Hugging Face tensors come in GGUF order", "[io][hf]") {
  std::mt19937 rng = make_rng(42);
  const TinyShape shape;
  const std::vector<TinyTensor> tensors = tiny_tensors(shape, rng);
  const auto hf = ModelSource::open(write_hf("rows", shape, tensors));
  REQUIRE_OK(hf);
  for (const TinyTensor& tensor : tensors) {
    const SourceTensor* found = (*hf)->find(tensor.gguf);
    for (std::uint64_t r = 0; r < found->rows; ++r) {  // F32: the stored row is the decoded row
      std::vector<float> stored(found->cols);
      std::memcpy(stored.data(), found->row(r), stored.size() * sizeof(float));
      const auto begin = tensor.values.begin() + static_cast<std::ptrdiff_t>(r * found->cols);
      REQUIRE(stored == std::vector<float>(begin, begin + static_cast<std::ptrdiff_t>(found->cols)));
    }
  }
}

TEST_CASE("model_source reads sharded Hugging Face files", "[io][hf]") {
  std::mt19937 rng = make_rng(43);
  const TinyShape shape;
  const std::vector<TinyTensor> tensors = tiny_tensors(shape, rng);
  const auto hf = ModelSource::open(write_hf("sharded", shape, tensors, "BF16", 3));
  REQUIRE_OK(hf);
  require_tensors(**hf, tensors);
  std::uint64_t bytes = 0;
  for (int i = 0; i < 3; ++i) {
    bytes += std::filesystem::file_size((*hf)->path() + "/part-" + std::to_string(i) + ".safetensors");
  }
  REQUIRE((*hf)->file_bytes() == bytes);
  for (const SourceTensor& tensor : (*hf)->tensors()) (*hf)->release(tensor.data);
  require_tensors(**hf, tensors);  // what was released comes back
}

TEST_CASE("model_source copies a Hugging Face model to an equal GGUF", "[io][hf]") {
  std::mt19937 rng = make_rng(44);
  for (const TinyShape& shape : family_shapes()) {
    INFO(shape.model_type << (shape.tied ? ", tied" : ""));
    const std::vector<TinyTensor> tensors = tiny_tensors(shape, rng);
    const auto hf = ModelSource::open(write_hf("copied", shape, tensors, "F32", 1,
                                               {{"rope_scaling", R"({"type":"linear","factor":2.5})"}}));
    REQUIRE_OK(hf);
    const auto copy = ModelSource::open(copy_to_gguf(**hf, "copied.gguf"));
    REQUIRE_OK(copy);
    require_same_config((*copy)->config(), (*hf)->config());
    REQUIRE((*copy)->config().rope.linear_factor == 2.5f);
    REQUIRE((*copy)->config().name == "copied");
    require_tensors(**copy, tensors);
  }
}

TEST_CASE("model_source turns llama3 scaling into divisors", "[io][hf]") {
  std::mt19937 rng = make_rng(45);
  TinyShape shape;
  shape.head_dim = 64;
  const std::vector<TinyTensor> tensors = tiny_tensors(shape, rng);
  const JsonChanges scaling = {
      {"rope_theta", "500000.0"},
      {"rope_scaling",
       R"({"rope_type":"llama3","factor":32.0,"low_freq_factor":1.0,"high_freq_factor":4.0,"original_max_position_embeddings":8192})"}};
  const auto hf = ModelSource::open(write_hf("llama3", shape, tensors, "F32", 1, scaling));
  REQUIRE_OK(hf);
  const std::vector<float>& divisors = (*hf)->config().rope.divisors;
  REQUIRE(divisors.size() == 32);
  for (std::size_t i = 0; i < 32; ++i) {  // the definition, by frequencies
    const double frequency = std::pow(500000.0, -2.0 * static_cast<double>(i) / 64);
    const double wave = 2 * std::numbers::pi / frequency;
    double scaled = frequency;
    if (wave > 8192.0 / 1) scaled = frequency / 32;
    const double smooth = (8192 / wave - 1) / (4 - 1);
    if (wave <= 8192.0 / 1 && wave >= 8192.0 / 4) scaled = (1 - smooth) * frequency / 32 + smooth * frequency;
    REQUIRE(divisors[i] == Approx(frequency / scaled).epsilon(1e-6));
  }
  REQUIRE(divisors.front() == 1.0f);
  REQUIRE(divisors.back() == 32.0f);
  REQUIRE(std::any_of(divisors.begin(), divisors.end(), [](float d) { return d > 1 && d < 32; }));

  const SourceTensor* tensor = (*hf)->find("rope_freqs.weight");
  REQUIRE(tensor != nullptr);
  REQUIRE(all_values(*tensor) == divisors);
  const auto copy = ModelSource::open(copy_to_gguf(**hf, "llama3.gguf"));
  REQUIRE_OK(copy);
  require_same_config((*copy)->config(), (*hf)->config());
}

TEST_CASE("model_source leaves out what Hugging Face files hold beside the weights", "[io][hf]") {
  std::mt19937 rng = make_rng(46);
  TinyShape shape;
  const std::vector<TinyTensor> untied = tiny_tensors(shape, rng);
  shape.tied = true;
  std::vector<TinyTensor> tied = untied;
  tied.pop_back();
  std::vector<HfTensor> stored = hf_tensors(shape, untied);  // with the head that a tied model does not use
  stored.push_back(
      {"model.layers.0.self_attn.rotary_emb.inv_freq", "F32", {2}, std::vector<std::uint8_t>(8)});
  const std::string path = write_hf("beside", shape, tied);
  write_bytes(path + "/model.safetensors", safetensors_file(stored));
  const auto hf = ModelSource::open(path);
  REQUIRE_OK(hf);
  REQUIRE((*hf)->config().tied_head);
  REQUIRE((*hf)->find("output.weight") == nullptr);
  require_tensors(**hf, tied);
}

TEST_CASE("model_source names what a Hugging Face directory lacks", "[io][hf]") {
  std::mt19937 rng = make_rng(47);
  const TinyShape shape;
  const std::vector<TinyTensor> tensors = tiny_tensors(shape, rng);
  const std::string path = write_hf("lacks", shape, tensors);
  REQUIRE((*ModelSource::open(path))->open_tokenizer().error().code() == StatusCode::kNotFound);
  require_refused(path + "/model.safetensors", StatusCode::kUnsupported, "open the directory");
  std::filesystem::rename(path + "/model.safetensors", path + "/moved");
  require_refused(path, StatusCode::kNotFound, "expected model.safetensors or model.safetensors.index.json");
  write_text(path + "/pytorch_model.bin", "x");
  require_refused(path, StatusCode::kUnsupported, "found only pytorch_model.bin");
  std::filesystem::remove(path + "/config.json");
  require_refused(path, StatusCode::kNotFound, "config.json");
}

TEST_CASE("model_source rejects missing, misshapen and unknown Hugging Face tensors", "[io][hf]") {
  std::mt19937 rng = make_rng(48);
  const TinyShape shape;
  const std::vector<TinyTensor> tensors = tiny_tensors(shape, rng);
  const std::vector<HfTensor> good = hf_tensors(shape, tensors);
  const std::string path = write_hf("tensors", shape, tensors);
  const auto refused = [&](const std::vector<HfTensor>& stored, StatusCode code, const std::string& part) {
    write_bytes(path + "/model.safetensors", safetensors_file(stored));
    require_refused(path, code, part);
  };
  for (std::size_t i = 0; i < good.size(); ++i) {
    INFO(good[i].name);
    std::vector<HfTensor> stored = good;
    stored.erase(stored.begin() + static_cast<std::ptrdiff_t>(i));
    refused(stored, StatusCode::kMalformedFile, "tensor " + good[i].name + " is missing");

    stored = good;
    stored[i].shape.back() += 1;
    stored[i].bytes.resize(stored[i].bytes.size() / good[i].shape.back() * stored[i].shape.back());
    refused(stored, StatusCode::kMalformedFile, "tensor " + good[i].name + ": expected shape [");

    stored = good;
    stored[i].shape.push_back(1);
    refused(stored, StatusCode::kMalformedFile, "tensor " + good[i].name + ": expected shape [");

    stored = good;
    stored[i].dtype = "I32";
    refused(stored, StatusCode::kUnsupported, "tensor " + good[i].name + ": elms does not read type I32");
  }
  for (const char* name :
       {"model.layers.2.mlp.up_proj.weight", "model.layers.0.mlp.up_proj.bias", "score.weight",
        "model.layers.1.self_attn.q_proj.bias", "blk.0.attn_q.weight", "rope_freqs.weight"}) {
    std::vector<HfTensor> stored = good;
    stored.push_back({name, "F32", {1}, std::vector<std::uint8_t>(4)});
    refused(stored, StatusCode::kUnsupported, std::string("tensor ") + name + " is not part of a model");
  }
  std::vector<HfTensor> transposed = good;
  std::swap(transposed[0].shape[0], transposed[0].shape[1]);
  refused(transposed, StatusCode::kMalformedFile, "expected shape [20, 16], found [16, 20]");
}

TEST_CASE("model_source rejects an index that does not fit its files", "[io][hf]") {
  std::mt19937 rng = make_rng(49);
  const TinyShape shape;
  const std::vector<TinyTensor> tensors = tiny_tensors(shape, rng);
  const std::string path = write_hf("index", shape, tensors, "F32", 2);
  const std::string index = path + "/model.safetensors.index.json";
  const std::vector<std::uint8_t> bytes = read_bytes(index);
  const std::string good(bytes.begin(), bytes.end());
  const auto refused = [&](const std::string& text, StatusCode code, const std::string& part) {
    INFO(text);
    write_text(index, text);
    require_refused(path, code, part);
  };
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    const std::size_t at = text.find(from);
    REQUIRE(at != std::string::npos);
    return text.replace(at, from.size(), to);
  };
  for (const char* name : {"../index/part-0.safetensors", "/etc/part-0.safetensors", "sub/part-0.safetensors",
                           "..\\\\part-0.safetensors", "C:part-0.safetensors", ".safetensors", "part-0.bin",
                           "", "part\\u0000.safetensors"}) {
    refused(with("part-0.safetensors", name), StatusCode::kMalformedFile,
            "expected the name of a .safetensors file");
  }
  refused(with("part-0.safetensors", "part-7.safetensors"), StatusCode::kNotFound, "part-7.safetensors");
  refused(with("part-0.safetensors", "part-1.safetensors"), StatusCode::kMalformedFile,
          "model.embed_tokens.weight");
  refused(with("model.embed_tokens.weight", "model.other.weight"), StatusCode::kMalformedFile,
          "model.embed_tokens.weight");
  refused(with("weight_map\": {", "weight_map\": {\"extra\": \"part-1.safetensors\", "),
          StatusCode::kMalformedFile, "tensor extra");
  refused(with("\"part-0.safetensors\"", "3"), StatusCode::kMalformedFile, "expected a string, found 3");
  refused("{}", StatusCode::kNotFound, "weight_map is missing");
  refused(R"({"weight_map": []})", StatusCode::kMalformedFile, "expected an object, found array");
  refused(R"({"weight_map": {}})", StatusCode::kMalformedFile, "at least one tensor");
  refused("[]", StatusCode::kMalformedFile, "expected a JSON object");
  for (std::size_t size = 0; size < good.size(); size += 7) {
    refused(good.substr(0, size), StatusCode::kMalformedFile, "index.json");
  }
}
