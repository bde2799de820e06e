// What a random model consists of: its checked shape, its metadata and its tensors. Internal to src/offline.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "elms/detail/gguf.hpp"
#include "elms/model_config.hpp"
#include "elms/offline/synth.hpp"

namespace elms::inline v0::offline {

/// kInvalidArgument names the field that no model can have.
[[nodiscard]] Status check_shape(const SynthShape& shape);

/// What a reader of the file will see. The shape is a checked one.
[[nodiscard]] ModelConfig synth_config(const SynthShape& shape);

/// Random values of one tensor: rows of `cols` values around `mean`.
struct SynthTensor {
  std::string name;
  DType type = DType::kF32;
  std::uint64_t cols = 0;
  std::uint64_t rows = 1;
  float mean = 0.0f;
  float deviation = 0.0f;
  std::int64_t zero_row = -1;  ///< this row is all zeros
  bool random_signs = false;   ///< every value is negative or positive by chance
};

/// In the order in which they lie in the file.
[[nodiscard]] std::vector<SynthTensor> synth_tensors(const ModelConfig& config, DType type);

/// Control tokens, one token for every byte, and the space.
inline constexpr std::int32_t kSynthMinVocab = 3 + 256 + 1;

/// The `tokenizer.*` keys of a SentencePiece-style vocabulary of n_vocab tokens (at least kSynthMinVocab).
void write_synth_vocabulary(detail::GgufWriter& writer, std::int32_t n_vocab);

}  // namespace elms::inline v0::offline
