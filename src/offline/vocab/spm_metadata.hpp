// A SentencePiece-style vocabulary as the `tokenizer.*` keys of a GGUF. Internal to src/offline.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "elms/detail/gguf.hpp"
#include "text/vocabulary.hpp"

namespace elms::inline v0::offline {

/// Tokens 0 to 2 are <unk>, <s> (BOS) and </s> (EOS).
inline constexpr std::int32_t kSpmUnknown = 0, kSpmBos = 1, kSpmEos = 2;

/// All [n_vocab].
struct SpmPieces {
  std::vector<std::string> texts;
  std::vector<float> scores;
  std::vector<detail::TokenType> types;
};

/// Every text begins with BOS and a space.
void write_spm_metadata(const SpmPieces& pieces, detail::GgufWriter& writer);

}  // namespace elms::inline v0::offline
