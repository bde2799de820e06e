// Files that are wrong: an error that names the place, nothing lost.
#include <cstring>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>

#include "elms/detail/gguf.hpp"
#include "encoder_fixture.hpp"

namespace {

using namespace elms_test;
using elms::StatusCode;
using elms::detail::GgufFile;
using elms::detail::GgufWriter;

struct Edit {
  std::string drop = {};                           ///< tensor or key that is left out
  std::function<void(GgufWriter&)> set = nullptr;  ///< keys to change
  std::string transpose = {};                      ///< tensor whose dimensions are swapped
};

/// A random encoder with one thing changed.
std::string edited(const EncoderConfig& config, const Edit& edit) {
  const std::string from = write_random_encoder(config), to = scratch_path("edited.gguf");
  const auto file = GgufFile::open(from);
  REQUIRE_OK(file);
  GgufWriter writer;
  for (const auto& value : file->values()) {
    if (value.key != edit.drop) writer.set(value);
  }
  if (edit.set) edit.set(writer);
  for (const auto& tensor : file->tensors()) {
    if (tensor.name == edit.drop) continue;
    std::vector<std::uint64_t> dims(tensor.dims, tensor.dims + tensor.n_dims);
    if (tensor.name == edit.transpose) std::swap(dims.front(), dims.back());
    REQUIRE_OK(writer.add_tensor(tensor.name, tensor.type, dims));
  }
  REQUIRE_OK(writer.begin(to));
  for (const auto& tensor : file->tensors()) {
    if (tensor.name != edit.drop) REQUIRE_OK(writer.write(tensor.data));
  }
  REQUIRE_OK(writer.finish());
  return to;
}

void check_refused(const std::string& path, const std::string& word,
                   StatusCode code = StatusCode::kMalformedFile) {
  const auto model = EncoderModel::open(path);
  INFO(word << ": " << model.error().message());
  CHECK(model.error().code() == code);
  CHECK_THAT(model.error().message(), Catch::Contains(word));
}

template <typename T>
std::function<void(GgufWriter&)> setting(std::string key, T value) {
  return [key = std::move(key), value](GgufWriter& writer) { writer.set(key, value); };
}

}  // namespace

TEST_CASE("an encoder without one of its parts is refused by name", "[refine][encoder][hostile]") {
  for (const EncoderConfig& config : {bert_config(64, 1, 24), mobilebert_config()}) {
    const auto file = GgufFile::open(write_random_encoder(config));
    REQUIRE_OK(file);
    std::vector<std::string> parts;
    for (const auto& tensor : file->tensors()) parts.emplace_back(tensor.name);
    for (const auto& value : file->values()) {
      const std::string key(value.key);
      const bool optional = key.find("causal") != key.npos || key.find("pooling") != key.npos ||
                            key.find("file_type") != key.npos || key.find("tokenizer.") == 0 ||
                            key == "elms.refiner.version" || key == "elms.refiner.shared_layers" ||
                            key == "elms.refiner.score.weight" ||
                            key == "elms.refiner.decision.hidden.weight" ||
                            key == "elms.refiner.decision.layers" || key == "mobilebert.trigram" ||
                            key == "mobilebert.bottleneck" || key == "mobilebert.bottleneck_attention";
      if (!optional) parts.push_back(key);
    }
    REQUIRE(parts.size() > 30);
    for (const std::string& part : parts) check_refused(edited(config, {.drop = part}), part);
    check_refused(edited(config, {.drop = "tokenizer.ggml.tokens"}), "tokenizer.ggml.tokens");
  }
}

TEST_CASE("encoders with absurd sizes and wrong shapes are refused before memory is taken",
          "[refine][encoder][hostile]") {
  const EncoderConfig config = bert_config(64, 1, 24);
  const std::uint32_t huge = 0x7fffffff;
  for (const char* key :
       {"embedding_length", "feed_forward_length", "block_count", "attention.head_count", "context_length"}) {
    for (const std::uint32_t value : {0u, 1000000u, huge, 0xffffffffu}) {
      const auto model =
          EncoderModel::open(edited(config, {.set = setting(std::string("bert.") + key, value)}));
      INFO(key << " = " << value << ": " << model.error().message());
      CHECK(model.error().code() == StatusCode::kMalformedFile);
    }
  }
  check_refused(edited(config, {.set = setting("elms.refiner.shared_layers", 2u)}), "shared_layers");
  check_refused(edited(config, {.set = setting("elms.refiner.decision.layers", 1000u)}), "decision.layers");
  check_refused(edited(config, {.set = setting("elms.refiner.decision.layers", 2u)}), "decision.blk.1");
  check_refused(edited(config, {.set = setting("elms.refiner.decision.type", 1u)}), "decision.blk.0");
  check_refused(edited(config, {.set = setting("elms.refiner.decision.type", 12u)}), "decision.type",
                StatusCode::kUnsupported);
  check_refused(edited(config, {.set = setting("elms.refiner.version", 2u)}), "version",
                StatusCode::kUnsupported);
  check_refused(edited(config, {.set = setting("bert.attention.causal", true)}), "causal",
                StatusCode::kUnsupported);
  check_refused(edited(config, {.set = setting("bert.attention.layer_norm_epsilon", -1.0f)}), "epsilon");
  check_refused(edited(config, {.set = setting("general.architecture", "llama")}), "llama",
                StatusCode::kUnsupported);
  for (const char* name : {"blk.0.ffn_up.weight", "token_embd.weight", "position_embd.weight"}) {
    const auto model = EncoderModel::open(edited(config, {.transpose = name}));
    INFO(model.error().message());
    CHECK(model.error().code() == StatusCode::kMalformedFile);
  }
  const float unordered[] = {0.5f, 0.5f, 0.75f, 1.0f};
  check_refused(
      edited(config, {.set = setting("elms.refiner.decision.widths", std::span<const float>(unordered))}),
      "widths");
  check_refused(scratch_path("absent.gguf"), "absent.gguf", StatusCode::kNotFound);
}

TEST_CASE("convert refuses what it cannot convert and leaves nothing behind", "[refine][encoder][hostile]") {
  namespace fs = std::filesystem;
  const std::string good = encoder_folder("mobilebert");
  const std::string folder = scratch_path("checkpoint"), output = scratch_path("out.gguf");
  const auto restore = [&] {
    fs::remove_all(folder);
    fs::create_directories(folder);
    for (const char* name : {"config.json", "model.safetensors", "vocab.txt"}) {
      fs::copy_file(good + "/" + name, folder + "/" + name);
    }
  };
  const auto refuses = [&](const std::string& word, StatusCode code) {
    const elms::Status status = elms::offline::convert_encoder(folder, output, elms::DType::kF32);
    INFO(word << ": " << status.message());
    CHECK(status.code() == code);
    CHECK_THAT(status.message(), Catch::Contains(word));
    CHECK_FALSE(fs::exists(output));
  };
  const auto with_config = [&](const std::string& key, const nlohmann::json& value) {
    restore();
    const auto bytes = read_bytes(folder + "/config.json");
    nlohmann::json config = nlohmann::json::parse(bytes.begin(), bytes.end());
    config[key] = value;
    const std::string text = config.dump();
    write_bytes(folder + "/config.json", {text.begin(), text.end()});
  };
  for (const char* name : {"config.json", "model.safetensors", "vocab.txt"}) {
    restore();
    fs::remove(folder + "/" + name);
    refuses(name, StatusCode::kNotFound);
  }
  with_config("model_type", "roberta");
  refuses("roberta", StatusCode::kUnsupported);
  with_config("hidden_act", "gelu_new");
  refuses("gelu_new", StatusCode::kUnsupported);
  with_config("position_embedding_type", "relative_key");
  refuses("relative_key", StatusCode::kUnsupported);
  with_config("is_decoder", true);
  refuses("is_decoder", StatusCode::kUnsupported);
  with_config("key_query_shared_bottleneck", false);
  refuses("key_query_shared_bottleneck", StatusCode::kUnsupported);
  with_config("num_attention_heads", 7);
  refuses("7", StatusCode::kMalformedFile);
  with_config("num_hidden_layers", 2000000000);
  refuses("2000000000", StatusCode::kMalformedFile);
  with_config("num_hidden_layers", 1);
  refuses("encoder.layer.1", StatusCode::kUnsupported);
  with_config("num_hidden_layers", 3);
  refuses("encoder.layer.2", StatusCode::kMalformedFile);
  with_config("intermediate_size", 64);
  refuses("intermediate.dense", StatusCode::kMalformedFile);
  with_config("vocab_size", 50);
  refuses("vocab", StatusCode::kMalformedFile);
  restore();
  const std::string twice = "[PAD]\n[UNK]\n[CLS]\n[SEP]\na\na\n";
  write_bytes(folder + "/vocab.txt", {twice.begin(), twice.end()});
  refuses("twice", StatusCode::kMalformedFile);
  const std::string none = "[PAD]\n[UNK]\n[CLS]\na\n";
  write_bytes(folder + "/vocab.txt", {none.begin(), none.end()});
  refuses("[SEP]", StatusCode::kMalformedFile);
}
