// One view of a checkpoint on disk, whatever its container: standard GGUF tensor names, GGUF conventions, lazy data.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "elms/detail/dtype.hpp"
#include "elms/detail/gguf.hpp"
#include "elms/model_config.hpp"
#include "elms/status.hpp"
#include "elms/tokenizer.hpp"

namespace elms::inline v0::detail {

/// A matrix [rows, cols] (or a vector: rows == 1) in its stored type. Rows are reached one by one, because a Hugging
/// Face llama keeps the rows of q and k in another order than GGUF does.
struct SourceTensor {
  std::string_view name;  ///< GGUF name, e.g. "blk.3.ffn_down.weight"
  DType type = DType::kF32;
  std::uint64_t rows = 1;
  std::uint64_t cols = 0;
  std::span<const std::uint8_t> data;

  /// 0, or head_dim where rows of each head are stored in halves order and GGUF wants them interleaved: GGUF row
  /// 2i + s of a head is stored row i + s * head_dim / 2. For vectors (biases) the same holds of their elements.
  std::uint32_t unrotate_head_dim = 0;

  /// The bytes of row r in GGUF order; r < rows.
  [[nodiscard]] const std::uint8_t* row(std::uint64_t r) const noexcept;
  /// Row r as floats; out has cols elements. For a vector with unrotate_head_dim the elements come in GGUF order.
  void decode_row(std::uint64_t r, float* out) const noexcept;
};

/// An opened checkpoint: a GGUF file of an architecture that elms runs (llama incl. mistral, qwen2, qwen3, deci), or a
/// Hugging Face directory (config.json, *.safetensors with or without an index, tokenizer.json) of the llama, mistral,
/// qwen2 or qwen3 family. Immutable; any thread may read it. Everything the config promises was checked: every tensor
/// that the model needs is there with the right shape, and no tensor is there that elms would silently ignore.
class ModelSource {
 public:
  virtual ~ModelSource() = default;

  /// kNotFound, kIoError, kMalformedFile, kUnsupported; messages name the file and the key or tensor.
  [[nodiscard]] static Result<std::unique_ptr<const ModelSource>> open(const std::string& path);

  [[nodiscard]] virtual const std::string& path() const noexcept = 0;
  [[nodiscard]] virtual const ModelConfig& config() const noexcept = 0;
  [[nodiscard]] virtual std::span<const SourceTensor> tensors() const noexcept = 0;
  [[nodiscard]] virtual const SourceTensor* find(std::string_view name) const noexcept = 0;  ///< null when absent
  [[nodiscard]] virtual std::uint64_t file_bytes() const noexcept = 0;

  /// The tokenizer of this checkpoint; kNotFound where the file has none.
  [[nodiscard]] virtual Result<std::shared_ptr<const Tokenizer>> open_tokenizer() const = 0;

  /// Writes the standard metadata (general.*, <arch>.*, tokenizer.*) of this checkpoint as GGUF keys. Keys of `elms.*`
  /// and of general.file_type are left out.
  virtual Status copy_metadata(GgufWriter& writer) const = 0;

  /// The GGUF file itself, for `elms.*` keys; null for other containers.
  [[nodiscard]] virtual const GgufFile* gguf() const noexcept = 0;

  /// Hints that a part of a tensor's data is not needed again soon (see FileMapping::release).
  virtual void release(std::span<const std::uint8_t> part) const noexcept = 0;
};

}  // namespace elms::inline v0::detail
