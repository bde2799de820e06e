// Tensors and keys of an encoder's GGUF file, and what Hugging Face calls the same tensors.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "elms/detail/encoder.hpp"
#include "elms/detail/gguf.hpp"
#include "elms/types.hpp"

namespace elms::inline v0::offline {

struct EncoderTensor {
  std::string name;     ///< in GGUF
  std::string hf_name;  ///< without the prefix of the family
  std::int32_t rows;    ///< 1 for vectors
  std::int32_t cols;
  bool is_matrix;  ///< of a linear layer or the token table: stored in the file's type
};

/// Every tensor that the model needs, in the order of the file.
[[nodiscard]] std::vector<EncoderTensor> encoder_tensors(const detail::EncoderConfig& config);
/// Those of one layer, for a decision branch too.
[[nodiscard]] std::vector<EncoderTensor> encoder_layer_tensors(const detail::EncoderConfig& config,
                                                               std::int32_t layer);

/// `type`, or F32 for what is no matrix and for rows that are no whole blocks.
[[nodiscard]] DType encoder_tensor_type(const EncoderTensor& tensor, DType type) noexcept;

/// general.architecture and the sizes.
void write_encoder_config(const detail::EncoderConfig& config, DType type, detail::GgufWriter& writer);

/// An array of bytes, as the decision branch's parameters lie in a file.
void write_byte_array(const std::string& key, std::span<const std::uint8_t> bytes,
                      detail::GgufWriter& writer);

}  // namespace elms::inline v0::offline
