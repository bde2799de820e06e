#include "elms/offline/vocabulary.hpp"

#include <utility>

#include "elms/detail/error.hpp"
#include "offline/vocab/sentencepiece.hpp"
#include "offline/vocab/text_pieces.hpp"

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

}  // namespace

Result<TrainedVocabulary> train_vocabulary(const VocabularyOptions& options, const std::string& output) {
  ELMS_RETURN_IF_ERROR(check(options));
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
