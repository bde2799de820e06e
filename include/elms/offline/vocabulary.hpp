// A vocabulary trained on texts, for a model that is to be trained on them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "elms/offline/progress.hpp"
#include "elms/status.hpp"

namespace elms::inline v0::offline {

struct VocabularyOptions {
  std::vector<std::string> text_files;   ///< plain UTF-8
  std::vector<std::string> jsonl_files;  ///< lines of {"prompt", "completion"} or of {"text"}
  std::int32_t n_tokens = 4096;          ///< all tokens, the 256 bytes and 3 special ones included
  double character_coverage =
      0.9995;                 ///< the share of characters that get a token; the rest is written in bytes
  /// A WordPiece vocabulary for an encoder instead: uncased, [PAD] [UNK] [CLS] [SEP] [MASK] first, no bytes.
  bool wordpiece = false;
  ProgressCallback progress;  ///< phase "read"; the training that follows cannot be stopped
};

struct TrainedVocabulary {
  std::int32_t n_tokens = 0;
  std::uint64_t text_bytes = 0;     ///< that it was trained on
  std::string sentencepiece_model;  ///< as SentencePiece's own programs read it (a `.model` file)
};

/// Trains a SentencePiece BPE vocabulary (Kudo, Richardson 2018) as Llama 2's is: no normalisation, digits
/// one by one, bytes for rare characters, a space before every text; 0 `<unk>`, 1 `<s>` (BOS), 2 `</s>` (EOS).
/// Lines are seen as they lie in a text: only the first of a document, example or paragraph begins with a
/// space. Writes it as a GGUF without tensors (architecture llama), which elms::Tokenizer and llama.cpp read
/// with the same tokens. Deterministic.
///
/// kUnsupported in builds without SentencePiece. kInvalidArgument for a size that the texts do not give,
/// kNotFound and kIoError of files, kMalformedFile with the line of a JSONL file, kCancelled.
[[nodiscard]] Result<TrainedVocabulary> train_vocabulary(const VocabularyOptions& options,
                                                         const std::string& output);

}  // namespace elms::inline v0::offline
