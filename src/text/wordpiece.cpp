// WordPiece: the longest token that begins the word, then the longest continuations; a word that cannot be
// covered is unknown as a whole.
#include <string>
#include <vector>

#include "token_model.hpp"
#include "unicode.hpp"

namespace elms::inline v0::detail {
namespace {

class WordPiece final : public TokenModel {
 public:
  explicit WordPiece(const Vocabulary& vocabulary) : vocabulary_(vocabulary) {}

  void encode(std::string_view piece, Workspace& workspace, std::vector<TokenId>& out) const override {
    const std::size_t before = out.size();
    if (!is_too_long(piece) && cover(piece, workspace.hashes, out)) return;
    out.resize(before);
    if (vocabulary_.unk != kNoToken) out.push_back(vocabulary_.unk);
  }

 private:
  [[nodiscard]] bool is_too_long(std::string_view word) const noexcept {
    if (word.size() <= vocabulary_.longest_word_chars) return false;
    std::size_t n = 0;
    for (std::size_t i = 0; i < word.size(); i += char_at(word, i).size) {
      if (++n > vocabulary_.longest_word_chars) return true;
    }
    return false;
  }

  [[nodiscard]] bool cover(std::string_view word, std::vector<std::uint64_t>& hashes,
                           std::vector<TokenId>& out) const {
    const auto is_plain = [](TokenType type) { return type != TokenType::kControl; };
    for (bool first = true; !word.empty(); first = false) {
      const std::string& prefix = first ? vocabulary_.word_prefix : vocabulary_.continuation_prefix;
      std::size_t n_bytes = 0;
      const TokenId id = vocabulary_.tokens.find_longest(prefix, word, is_plain, hashes, n_bytes);
      if (id == kNoToken) return false;
      out.push_back(id);
      word.remove_prefix(n_bytes);
    }
    return true;
  }

  const Vocabulary& vocabulary_;
};

}  // namespace

std::unique_ptr<TokenModel> make_word_piece(const Vocabulary& vocabulary) {
  return std::make_unique<WordPiece>(vocabulary);
}

}  // namespace elms::inline v0::detail
