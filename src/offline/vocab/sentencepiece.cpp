// The only file that includes SentencePiece.
#include "offline/vocab/sentencepiece.hpp"

#include "elms/detail/error.hpp"

#ifdef ELMS_WITH_SENTENCEPIECE
#include <sentencepiece_processor.h>
#include <sentencepiece_trainer.h>

#include <exception>
#include <unordered_map>
#endif

namespace elms::inline v0::offline {

#ifdef ELMS_WITH_SENTENCEPIECE
namespace {

namespace spm = sentencepiece;

class LineIterator final : public spm::SentenceIterator {
 public:
  explicit LineIterator(const NextLine& next) : next_(next) { LineIterator::Next(); }

  bool done() const override { return done_; }
  void Next() override {
    const Result<bool> more = next_(line_);
    if (!more.has_value()) error_ = more.error();
    done_ = !more.has_value() || !*more;
  }
  const std::string& value() const override { return line_; }
  spm::util::Status status() const override {
    if (error_.ok()) return {};
    return {spm::util::StatusCode::kAborted, error_.message()};
  }
  /// What `next` said, which the library's own codes have no room for.
  [[nodiscard]] const Status& error() const { return error_; }

 private:
  const NextLine& next_;
  std::string line_;
  Status error_;
  bool done_ = false;
};

std::unordered_map<std::string, std::string> trainer_arguments(std::int32_t n_tokens,
                                                               double character_coverage,
                                                               std::size_t max_line_bytes) {
  return {
      {"model_type", "bpe"},
      {"vocab_size", std::to_string(n_tokens)},
      {"character_coverage", detail::concat(character_coverage)},
      {"byte_fallback", "true"},
      {"split_digits", "true"},
      {"normalization_rule_name", "identity"},
      {"remove_extra_whitespaces", "false"},
      {"allow_whitespace_only_pieces", "true"},  // runs of spaces, as indentation is
      {"add_dummy_prefix", "false"},             // lines have their own where they need one
      {"max_sentence_length", std::to_string(max_line_bytes)},
      {"unk_id", std::to_string(kSpmUnknown)},
      {"bos_id", std::to_string(kSpmBos)},
      {"eos_id", std::to_string(kSpmEos)},
      {"pad_id", "-1"},
      {"num_threads", "1"},
      {"minloglevel", "3"},  // what it has to say comes back as a status
  };
}

/// Whoever loads the model puts a space before a text. The format lets the last of several values count
/// (protobuf: fields of embedded messages are merged): normalizer_spec (3) { add_dummy_prefix (3): true }.
constexpr char kAddDummyPrefix[] = {0x1A, 0x02, 0x18, 0x01};

detail::TokenType type_of(const spm::SentencePieceProcessor& model, int id) {
  using detail::TokenType;
  if (model.IsUnknown(id)) return TokenType::kUnknown;
  if (model.IsControl(id)) return TokenType::kControl;
  if (model.IsByte(id)) return TokenType::kByte;
  return model.IsUnused(id) ? TokenType::kUnused : TokenType::kNormal;
}

Result<SentencePieceModel> train_with_library(const NextLine& next, std::int32_t n_tokens,
                                              double character_coverage, std::size_t max_line_bytes) {
  SentencePieceModel result;
  LineIterator lines(next);
  const auto arguments = trainer_arguments(n_tokens, character_coverage, max_line_bytes);
  const spm::util::Status trained = spm::SentencePieceTrainer::Train(arguments, &lines, &result.serialized);
  if (!lines.error().ok()) return lines.error();
  if (!trained.ok()) {
    return detail::invalid_argument("SentencePiece makes no vocabulary of ", n_tokens,
                                    " tokens from these texts: ", trained.error_message());
  }
  result.serialized.append(kAddDummyPrefix, sizeof kAddDummyPrefix);
  spm::SentencePieceProcessor model;
  const spm::util::Status loaded = model.LoadFromSerializedProto(result.serialized);
  if (!loaded.ok()) return detail::error(StatusCode::kInternal, "SentencePiece: ", loaded.error_message());
  for (int id = 0; id < model.GetPieceSize(); ++id) {
    result.pieces.texts.push_back(model.IdToPiece(id));
    result.pieces.scores.push_back(model.GetScore(id));
    result.pieces.types.push_back(type_of(model, id));
  }
  return result;
}

}  // namespace

Result<SentencePieceModel> train_sentencepiece(const NextLine& next, std::int32_t n_tokens,
                                               double character_coverage, std::size_t max_line_bytes) {
  try {
    return train_with_library(next, n_tokens, character_coverage, max_line_bytes);
  } catch (const std::exception& exception) {
    return detail::error(StatusCode::kInternal, "SentencePiece: ", exception.what());
  }
}

#else

Result<SentencePieceModel> train_sentencepiece(const NextLine&, std::int32_t, double, std::size_t) {
  return detail::unsupported("this elms was built without SentencePiece, which trains vocabularies");
}

#endif

}  // namespace elms::inline v0::offline
