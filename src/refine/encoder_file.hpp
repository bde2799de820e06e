// An encoder's GGUF file: its sizes, and its tensors by name, wherever they lie.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "elms/detail/encoder.hpp"
#include "elms/detail/gguf.hpp"
#include "elms/detail/model_source.hpp"
#include "elms/status.hpp"

namespace elms::inline v0::detail {

/// Whose parameters: those of the decision branch are not tensors but metadata, since llama.cpp refuses a
/// file with tensors that it does not expect.
enum class EncoderBranch : std::uint8_t { kMain, kDecision };

/// An opened file with the sizes that its metadata and embedding tables promise; tensors of layers are
/// checked when they are asked for. Immutable, movable.
class EncoderFile {
 public:
  /// Errors as of EncoderModel::open.
  [[nodiscard]] static Result<EncoderFile> open(const std::string& path);

  [[nodiscard]] const GgufFile& gguf() const noexcept { return gguf_; }
  [[nodiscard]] const EncoderConfig& config() const noexcept { return config_; }

  /// A matrix [rows, cols], or a vector where rows is 1. A missing tensor or another shape is kMalformedFile.
  [[nodiscard]] Result<SourceTensor> tensor(EncoderBranch branch, const std::string& name, std::int32_t rows,
                                            std::int32_t cols) const;
  /// Whether a main tensor is there.
  [[nodiscard]] bool has(std::string_view name) const noexcept { return gguf_.find_tensor(name) != nullptr; }

 private:
  explicit EncoderFile(GgufFile gguf) noexcept : gguf_(std::move(gguf)) {}
  [[nodiscard]] Result<SourceTensor> main_tensor(const std::string& name, std::int32_t rows,
                                                 std::int32_t cols) const;
  [[nodiscard]] Result<SourceTensor> decision_tensor(const std::string& name, std::int32_t rows,
                                                     std::int32_t cols) const;

  GgufFile gguf_;
  EncoderConfig config_;
  DType decision_type_ = DType::kF32;  ///< of the decision branch's matrices
};

}  // namespace elms::inline v0::detail
