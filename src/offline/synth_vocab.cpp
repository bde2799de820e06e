// A vocabulary that any text can be encoded with and whose every token can be read.
#include <string>
#include <vector>

#include "offline/synth_model.hpp"
#include "offline/vocab/spm_metadata.hpp"

namespace elms::inline v0::offline {
using detail::TokenType;

void write_synth_vocabulary(detail::GgufWriter& writer, std::int32_t n_vocab) {
  const auto n = static_cast<std::size_t>(n_vocab);
  SpmPieces pieces;
  std::vector<std::string>& texts = pieces.texts;
  texts = {"<unk>", "<s>", "</s>"};
  pieces.types = {TokenType::kUnknown, TokenType::kControl, TokenType::kControl};
  for (unsigned byte = 0; byte < 256; ++byte) {
    const auto token = detail::hex_token_of_byte(static_cast<unsigned char>(byte));
    texts.emplace_back(token.data(), token.size());
  }
  pieces.types.resize(texts.size(), TokenType::kByte);
  const std::string space(detail::kSpaceMarker);
  texts.push_back(space);  // as bytes it would come back as the character that stands for it
  // Words are there to be read in generated text. Encoding never finds them, because their parts are no
  // tokens that could be merged: every text is encoded as bytes, and its length in tokens is known in
  // advance.
  for (std::size_t word = 0; texts.size() < n; ++word) texts.push_back(space + "w" + std::to_string(word));
  pieces.types.resize(n, TokenType::kNormal);
  pieces.scores.resize(n);
  for (std::size_t i = static_cast<std::size_t>(kSynthMinVocab); i < n; ++i)
    pieces.scores[i] = -static_cast<float>(i);
  write_spm_metadata(pieces, writer);
}

}  // namespace elms::inline v0::offline
