// A vocabulary as the `tokenizer.ggml.*` metadata of a GGUF file.
#pragma once

#include <cstddef>
#include <string_view>

#include "elms/detail/gguf.hpp"
#include "elms/status.hpp"
#include "vocabulary.hpp"

namespace elms::inline v0::detail {

/// Writes a BPE vocabulary for a model with n_vocab rows of embeddings; ids that have no token become unused
/// "[PAD...]" tokens, as in llama.cpp's converter. kUnsupported for what the format has no words for and the
/// tokens would differ.
///
/// What llama.cpp does its own way with any file of a model is written all the same: byte-level models
/// without normalisation (NFC), and SentencePiece-style ones with a space before every stretch of text
/// between special tokens.
[[nodiscard]] Status write_gguf_vocabulary(const Vocabulary& vocabulary, std::size_t n_vocab,
                                           std::string_view source, GgufWriter& writer);

}  // namespace elms::inline v0::detail
