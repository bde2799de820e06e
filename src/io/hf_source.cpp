#include "io/hf_source.hpp"

#include <filesystem>
#include <system_error>
#include <unordered_set>
#include <utility>
#include <vector>

#include "elms/detail/error.hpp"
#include "io/hf_config.hpp"
#include "io/hf_metadata.hpp"
#include "io/hf_shards.hpp"
#include "io/json_file.hpp"
#include "io/tensor_table.hpp"

namespace elms::inline v0::detail {
namespace {

constexpr std::uint64_t kMaxConfigBytes = 1 << 20;

class HfSource final : public ModelSource {
 public:
  HfSource(std::string path, std::vector<SafetensorsFile> shards, ModelConfig config, TensorTable table)
      : path_(std::move(path)),
        shards_(std::move(shards)),
        config_(std::move(config)),
        table_(std::move(table)) {
    for (const SafetensorsFile& shard : shards_) file_bytes_ += shard.file_bytes();
  }

  const std::string& path() const noexcept override { return path_; }
  const ModelConfig& config() const noexcept override { return config_; }
  std::span<const SourceTensor> tensors() const noexcept override { return table_.tensors(); }
  const SourceTensor* find(std::string_view name) const noexcept override { return table_.find(name); }
  std::uint64_t file_bytes() const noexcept override { return file_bytes_; }
  const GgufFile* gguf() const noexcept override { return nullptr; }
  void release(std::span<const std::uint8_t> part) const noexcept override {
    for (const SafetensorsFile& shard : shards_) shard.release(part);
  }

  Result<std::shared_ptr<const Tokenizer>> open_tokenizer() const override {
    const std::string file = path_ + "/tokenizer.json";
    std::error_code ignored;
    if (!std::filesystem::exists(file, ignored)) {
      return error(StatusCode::kNotFound, path_, ": the directory has no tokenizer.json");
    }
    ELMS_ASSIGN_OR_RETURN(auto tokenizer, Tokenizer::from_tokenizer_json(file));
    if (tokenizer->n_vocab() <= config_.n_vocab) return tokenizer;
    return malformed(file, ": expected at most the ", config_.n_vocab, " tokens of the model, found ",
                     tokenizer->n_vocab());
  }

  Status copy_metadata(GgufWriter& writer) const override {
    return write_hf_metadata(path_, config_, writer);
  }

 private:
  std::string path_;
  std::vector<SafetensorsFile> shards_;
  ModelConfig config_;
  TensorTable table_;  ///< views the mappings of shards_ and the divisors in config_
  std::uint64_t file_bytes_ = 0;
};

std::string directory_name(const std::string& directory) {
  std::error_code failed;
  std::filesystem::path path = std::filesystem::absolute(directory, failed).lexically_normal();
  if (failed) return {};
  if (!path.has_filename()) path = path.parent_path();  // "models/tiny/"
  return path.filename().string();
}

// Tables that old exporters stored although they follow from the config.
bool is_derived(std::string_view name) {
  return name.ends_with(".rotary_emb.inv_freq");
}

Result<std::vector<StoredTensor>> stored_tensors(std::span<const SafetensorsFile> shards) {
  std::vector<StoredTensor> stored;
  std::unordered_set<std::string_view> names;
  for (const SafetensorsFile& shard : shards) {
    for (const StoredTensor& tensor : shard.tensors()) {
      if (is_derived(tensor.name)) continue;
      if (!names.insert(tensor.name).second) {
        return malformed(shard.name(), ": tensor ", tensor.name, " is in another file of the directory too");
      }
      stored.push_back(tensor);
    }
  }
  return stored;
}

// What the config decides about the tensors: transformers ties the head whether or not the file has one, and
// the divisors of llama3 scaling are a tensor in GGUF.
void apply_config(const ModelConfig& config, std::vector<StoredTensor>& stored) {
  for (const TensorSpec& spec : model_tensor_specs()) {
    if (spec.presence == TensorPresence::kUntiedHead && config.tied_head) {
      std::erase_if(stored, [&](const StoredTensor& tensor) { return tensor.name == spec.hf; });
    }
    if (spec.presence == TensorPresence::kRopeDivisors && !config.rope.divisors.empty()) {
      const std::span<const float> divisors = config.rope.divisors;
      stored.push_back({spec.gguf,
                        "F32",
                        DType::kF32,
                        {divisors.size()},
                        {reinterpret_cast<const std::uint8_t*>(divisors.data()), divisors.size_bytes()}});
    }
  }
}

}  // namespace

Result<std::unique_ptr<const ModelSource>> open_hf_source(const std::string& directory) {
  ELMS_ASSIGN_OR_RETURN(const JsonFile config_file,
                        JsonFile::open(directory + "/config.json", kMaxConfigBytes));
  ELMS_ASSIGN_OR_RETURN(std::vector<SafetensorsFile> shards, open_hf_shards(directory));
  ELMS_ASSIGN_OR_RETURN(std::vector<StoredTensor> stored, stored_tensors(shards));
  std::unordered_set<std::string_view> names;
  for (const StoredTensor& tensor : stored) names.insert(tensor.name);
  const auto has = [&](const TensorSpec& spec, std::int32_t layer) {
    return names.contains(hf_tensor_name(spec, layer));
  };
  ELMS_ASSIGN_OR_RETURN(ModelConfig config, read_hf_config(config_file, stored.size(), has));
  config.name = directory_name(directory);
  apply_config(config, stored);
  ELMS_ASSIGN_OR_RETURN(TensorTable table,
                        TensorTable::bind(directory, config, stored, TensorNaming::kHuggingFace,
                                          config.rope.style == RopeStyle::kInterleaved));
  return std::unique_ptr<const ModelSource>(
      std::make_unique<HfSource>(directory, std::move(shards), std::move(config), std::move(table)));
}

}  // namespace elms::inline v0::detail
