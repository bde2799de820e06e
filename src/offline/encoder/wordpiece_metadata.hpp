// A WordPiece vocabulary as the `tokenizer.ggml.*` keys of GGUF.
#pragma once

#include <string>
#include <vector>

#include "elms/detail/gguf.hpp"
#include "elms/status.hpp"

namespace elms::inline v0::offline {

/// Tokens as vocab.txt has them, "##" before those that continue a word.
struct WordPieceVocabulary {
  std::vector<std::string> tokens;
  bool lowercase = true;
  bool strip_accents = true;
  std::string source;  ///< the file, for messages
};

/// From tokenizer.json where there is one, else from vocab.txt with the flags of tokenizer_config.json.
/// kNotFound where a directory has neither; kUnsupported for what GGUF has no words for.
[[nodiscard]] Result<WordPieceVocabulary> read_wordpiece(const std::string& directory);

/// As llama.cpp writes it: "▁" before the tokens that begin a word. n_token_types: rows of the table of token
/// types. kMalformedFile where [CLS], [SEP] or [UNK] is missing.
[[nodiscard]] Status write_wordpiece(const WordPieceVocabulary& vocabulary, std::int32_t n_token_types,
                                     detail::GgufWriter& writer);

}  // namespace elms::inline v0::offline
