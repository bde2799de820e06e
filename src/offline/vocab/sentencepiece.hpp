// SentencePiece's trainer, behind a function without its types. Internal to src/offline.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "elms/status.hpp"
#include "offline/vocab/spm_metadata.hpp"

namespace elms::inline v0::offline {

struct SentencePieceModel {
  SpmPieces pieces;
  std::string serialized;  ///< SentencePiece's own format
};

/// Sets its argument to the next line of text, or returns false at the end.
using NextLine = std::function<Result<bool>(std::string&)>;

/// Trains on lines that carry their own space in front where they begin a text. kUnsupported in builds
/// without the library; errors of `next` come back as they are.
[[nodiscard]] Result<SentencePieceModel> train_sentencepiece(const NextLine& next, std::int32_t n_tokens,
                                                             double character_coverage,
                                                             std::size_t max_line_bytes);

}  // namespace elms::inline v0::offline
