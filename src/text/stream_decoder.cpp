#include "elms/tokenizer.hpp"

namespace elms::inline v0 {

std::string StreamDecoder::push(TokenId token) {
  tokenizer_->append_piece(token, special_, at_start_, pending_);
  return tokenizer_->take_settled(pending_, false);
}

std::string StreamDecoder::finish() {
  return tokenizer_->take_settled(pending_, true);
}

}  // namespace elms::inline v0
