// WordPiece: the longest token that begins the word, then the longest continuations; a word that cannot be
// covered is unknown as a whole.
#include <algorithm>

#include "token_model.hpp"
#include "unicode.hpp"

namespace elms::inline v0::detail {
namespace {

class WordPiece final : public TokenModel {
 public:
  explicit WordPiece(const Vocabulary& vocabulary) : vocabulary_(vocabulary) {}

  void encode(std::string_view piece, Workspace& workspace, std::vector<TokenId>& out) const override {
    const std::size_t before = out.size();
    if (!is_too_long(piece) && cover(piece, workspace.text, out)) return;
    out.resize(before);
    if (vocabulary_.unk != kNoToken) out.push_back(vocabulary_.unk);
  }

 private:
  [[nodiscard]] bool is_too_long(std::string_view word) const noexcept {
    std::size_t n = 0;
    for (std::size_t i = 0; i < word.size(); i += char_at(word, i).size) {
      if (++n > vocabulary_.longest_word_chars) return true;
    }
    return false;
  }

  [[nodiscard]] bool cover(std::string_view word, std::string& text, std::vector<TokenId>& out) const {
    for (std::size_t begin = 0; begin < word.size();) {
      const std::string& prefix = begin == 0 ? vocabulary_.word_prefix : vocabulary_.continuation_prefix;
      const std::size_t longest = std::min(word.size() - begin, vocabulary_.tokens.longest_text());
      text.assign(prefix);
      text.append(word.substr(begin, longest));
      TokenId id = kNoToken;
      while (text.size() > prefix.size() && (id = find_plain(text)) == kNoToken) text.pop_back();
      if (id == kNoToken) return false;
      out.push_back(id);
      begin += text.size() - prefix.size();
    }
    return true;
  }

  [[nodiscard]] TokenId find_plain(std::string_view text) const noexcept {
    const TokenId id = vocabulary_.tokens.find(text);
    return id != kNoToken && vocabulary_.tokens.type(id) != TokenType::kControl ? id : kNoToken;
  }

  const Vocabulary& vocabulary_;
};

}  // namespace

std::unique_ptr<TokenModel> make_word_piece(const Vocabulary& vocabulary) {
  return std::make_unique<WordPiece>(vocabulary);
}

}  // namespace elms::inline v0::detail
