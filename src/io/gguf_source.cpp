#include "io/gguf_source.hpp"

#include <utility>
#include <vector>

#include "elms/detail/error.hpp"
#include "io/gguf_config.hpp"
#include "io/tensor_table.hpp"

namespace elms::inline v0::detail {
namespace {

class GgufSource final : public ModelSource {
 public:
  GgufSource(GgufFile file, ModelConfig config, TensorTable table)
      : file_(std::move(file)), config_(std::move(config)), table_(std::move(table)) {}

  const std::string& path() const noexcept override { return file_.name(); }
  const ModelConfig& config() const noexcept override { return config_; }
  std::span<const SourceTensor> tensors() const noexcept override { return table_.tensors(); }
  const SourceTensor* find(std::string_view name) const noexcept override { return table_.find(name); }
  std::uint64_t file_bytes() const noexcept override { return file_.file_bytes(); }
  const GgufFile* gguf() const noexcept override { return &file_; }
  void release(std::span<const std::uint8_t> part) const noexcept override { file_.release(part); }

  Result<std::shared_ptr<const Tokenizer>> open_tokenizer() const override {
    if (file_.find("tokenizer.ggml.model") == nullptr) {
      return error(StatusCode::kNotFound, path(), ": the file has no tokenizer (key tokenizer.ggml.model)");
    }
    return Tokenizer::from_gguf(file_);
  }

  Status copy_metadata(GgufWriter& writer) const override {
    const std::string own = config_.architecture + ".";
    for (const GgufValue& value : file_.values()) {
      const bool standard = value.key.starts_with("general.") || value.key.starts_with(own) ||
                            value.key.starts_with("tokenizer.");
      // The type and the alignment are those of the file that is being written.
      if (standard && value.key != "general.file_type" && value.key != "general.alignment") writer.set(value);
    }
    return {};
  }

 private:
  GgufFile file_;
  ModelConfig config_;
  TensorTable table_;
};

std::vector<StoredTensor> stored_tensors(const GgufFile& file) {
  std::vector<StoredTensor> stored;
  stored.reserve(file.tensors().size());
  for (const GgufTensor& tensor : file.tensors()) {
    StoredTensor& out = stored.emplace_back();
    out.name = tensor.name;
    out.type_name = dtype_info(tensor.type).name;
    out.type = tensor.type;
    out.shape.assign(std::make_reverse_iterator(tensor.dims + tensor.n_dims),
                     std::make_reverse_iterator(tensor.dims));
    out.data = tensor.data;
  }
  return stored;
}

}  // namespace

Result<std::unique_ptr<const ModelSource>> open_gguf_source(GgufFile file) {
  ELMS_ASSIGN_OR_RETURN(ModelConfig config, read_gguf_config(file));
  ELMS_ASSIGN_OR_RETURN(TensorTable table, TensorTable::bind(file.name(), config, stored_tensors(file),
                                                             TensorNaming::kGguf, /*unrotate=*/false));
  return std::unique_ptr<const ModelSource>(
      std::make_unique<GgufSource>(std::move(file), std::move(config), std::move(table)));
}

Result<std::unique_ptr<const ModelSource>> open_gguf_source(const std::string& path) {
  ELMS_ASSIGN_OR_RETURN(GgufFile file, GgufFile::open(path));
  return open_gguf_source(std::move(file));
}

}  // namespace elms::inline v0::detail
