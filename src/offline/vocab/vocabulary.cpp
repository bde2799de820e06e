#include "elms/offline/vocabulary.hpp"

#include <utility>

#include "elms/detail/error.hpp"
#include "offline/vocab/sentencepiece.hpp"
#include "offline/vocab/text_pieces.hpp"
#include "offline/vocab/wordpiece.hpp"

namespace elms::inline v0::offline {
namespace {

using detail::invalid_argument;

constexpr std::int32_t kMinTokens = 3 + 256 + 1, kMaxTokens = 1 << 20;

Status check(const VocabularyOptions& options) {
  if (options.n_tokens < kMinTokens || options.n_tokens > kMaxTokens) {
    return invalid_argument("vocabulary: ", options.n_tokens, " tokens; expected ", kMinTokens, " to ",
                            kMaxTokens);
  }
  if (!(options.character_coverage >= 0.5 && options.character_coverage <= 1.0)) {
    return invalid_argument("vocabulary: a character coverage of ", options.character_coverage,
                            "; expected 0.5 to 1");
  }
  return {};
}

Status write(const SentencePieceModel& model, const std::string& output) {
  detail::GgufWriter writer;
  writer.set("general.architecture", "llama");  // without it llama.cpp does not look at the vocabulary
  writer.set("general.type", "vocab");
  write_spm_metadata(model.pieces, writer);
  ELMS_RETURN_IF_ERROR(writer.begin(output));
  return writer.finish();
}

/// SentencePiece finds the pieces, of lines that are cut into words as BERT cuts them.
Result<TrainedVocabulary> train_wordpiece(const VocabularyOptions& options, const std::string& output) {
  ELMS_ASSIGN_OR_RETURN(TextPieces pieces, TextPieces::open(options));
  const auto next = [&](std::string& line) -> Result<bool> {
    ELMS_ASSIGN_OR_RETURN(const bool found, pieces.next(line));
    if (found) line = bert_words(line);
    return found;
  };
  ELMS_ASSIGN_OR_RETURN(const SentencePieceModel model,
                        train_sentencepiece(next, options.n_tokens + kMinTokens, options.character_coverage,
                                            2 * TextPieces::kMaxPieceBytes));
  const std::vector<std::string> tokens =
      wordpiece_tokens(model.pieces, static_cast<std::size_t>(options.n_tokens));
  detail::GgufWriter writer;
  writer.set("general.architecture", "bert");
  writer.set("general.type", "vocab");
  write_wordpiece_metadata(tokens, writer);
  ELMS_RETURN_IF_ERROR(writer.begin(output));
  ELMS_RETURN_IF_ERROR(writer.finish());
  return TrainedVocabulary{static_cast<std::int32_t>(tokens.size()), pieces.text_bytes(), {}};
}

}  // namespace

Result<TrainedVocabulary> train_vocabulary(const VocabularyOptions& options, const std::string& output) {
  ELMS_RETURN_IF_ERROR(check(options));
  if (options.wordpiece) return train_wordpiece(options, output);
  ELMS_ASSIGN_OR_RETURN(TextPieces pieces, TextPieces::open(options));
  ELMS_ASSIGN_OR_RETURN(
      SentencePieceModel model,
      train_sentencepiece([&](std::string& line) { return pieces.next(line); }, options.n_tokens,
                          options.character_coverage, TextPieces::kMaxPieceBytes));
  ELMS_RETURN_IF_ERROR(write(model, output));
  return TrainedVocabulary{static_cast<std::int32_t>(model.pieces.texts.size()), pieces.text_bytes(),
                           std::move(model.serialized)};
}

}  // namespace elms::inline v0::offline
