// A WordPiece vocabulary out of the pieces that SentencePiece's trainer finds. Internal to src/offline.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "elms/detail/gguf.hpp"
#include "offline/vocab/spm_metadata.hpp"

namespace elms::inline v0::offline {

/// A line as BERT's tokenizer sees it: lower case, without accents, words and punctuation apart by one space,
/// and one in front.
[[nodiscard]] std::string bert_words(const std::string& line);

/// [PAD] [UNK] [CLS] [SEP] [MASK], every character alone in both forms (beginning a word, which "▁" marks as
/// in GGUF, and continuing one), then pieces in the order in which they were found, n_tokens in all.
[[nodiscard]] std::vector<std::string> wordpiece_tokens(const SpmPieces& pieces, std::size_t n_tokens);

/// As llama.cpp's converter writes a BertModel's.
void write_wordpiece_metadata(const std::vector<std::string>& tokens, detail::GgufWriter& writer);

}  // namespace elms::inline v0::offline
