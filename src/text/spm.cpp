// SentencePiece BPE: any two neighbours that together are a token may merge, the best score first.
#include <algorithm>
#include <numeric>

#include "token_model.hpp"
#include "unicode.hpp"

namespace elms::inline v0::detail {
namespace {

/// Only these come out of plain text; a control token never does, however its text came about.
bool is_plain(TokenType type) noexcept {
  return type == TokenType::kNormal || type == TokenType::kUserDefined || type == TokenType::kUnused;
}

class ScoredMerges final : public TokenModel {
 public:
  explicit ScoredMerges(const Vocabulary& vocabulary) : vocabulary_(vocabulary) {
    rank_tokens();
    for (std::size_t c = 0; c < ascii_tokens_.size(); ++c) {
      const char itself = static_cast<char>(c);
      ascii_tokens_[c] = find_plain({&itself, 1});
    }
    for (unsigned byte = 0; byte < 256; ++byte) {
      const auto hex = hex_token_of_byte(static_cast<unsigned char>(byte));
      const char itself = static_cast<char>(byte);
      byte_tokens_[byte] = vocabulary.tokens.find({hex.data(), hex.size()});
      if (byte_tokens_[byte] == kNoToken) byte_tokens_[byte] = vocabulary.tokens.find({&itself, 1});
      if (byte_tokens_[byte] == kNoToken) byte_tokens_[byte] = vocabulary.unk;
    }
  }

  void encode(std::string_view piece, Workspace& workspace, std::vector<TokenId>& out) const override {
    MergeQueue& queue = workspace.merges;
    queue.clear();
    for (std::size_t i = 0; i < piece.size();) {
      const Char c = char_at(piece, i);
      const TokenId id = c.code_point < ascii_tokens_.size() ? ascii_tokens_[c.code_point]
                                                             : find_plain(piece.substr(i, c.size));
      queue.append(static_cast<std::uint32_t>(i), c.size, id);
      i += c.size;
    }
    queue.merge_all([&](const Symbol& left, const Symbol& right) -> MergeResult {
      const TokenId id = find_plain(piece.substr(left.begin, std::size_t{left.size} + right.size));
      if (id == kNoToken) return {};
      return {id, ranks_[static_cast<std::size_t>(id)]};
    });
    queue.for_each([&](const Symbol& symbol) {
      if (symbol.id != kNoToken) {
        out.push_back(symbol.id);
        return;
      }
      for (const char byte : piece.substr(symbol.begin, symbol.size)) {
        const TokenId id = byte_tokens_[static_cast<unsigned char>(byte)];
        if (id != kNoToken) out.push_back(id);
      }
    });
  }

 private:
  [[nodiscard]] TokenId find_plain(std::string_view text) const noexcept {
    const TokenId id = vocabulary_.tokens.find(text);
    return id != kNoToken && is_plain(vocabulary_.tokens.type(id)) ? id : kNoToken;
  }

  /// Turns scores into ranks, equal scores into equal ranks, so that the queue compares integers.
  void rank_tokens() {
    const std::vector<float>& scores = vocabulary_.scores;
    std::vector<std::uint32_t> by_score(scores.size());
    std::iota(by_score.begin(), by_score.end(), 0u);
    std::sort(by_score.begin(), by_score.end(),
              [&](std::uint32_t a, std::uint32_t b) { return scores[a] > scores[b]; });
    ranks_.resize(scores.size());
    std::uint32_t rank = 0;
    for (std::size_t i = 0; i < by_score.size(); ++i) {
      if (i != 0 && scores[by_score[i]] != scores[by_score[i - 1]]) ++rank;
      ranks_[by_score[i]] = rank;
    }
  }

  const Vocabulary& vocabulary_;
  std::vector<std::uint32_t> ranks_;         ///< [n_vocab]
  std::array<TokenId, 128> ascii_tokens_{};  ///< of single characters, which most begin as
  std::array<TokenId, 256> byte_tokens_{};
};

}  // namespace

std::unique_ptr<TokenModel> make_scored_merges(const Vocabulary& vocabulary) {
  return std::make_unique<ScoredMerges>(vocabulary);
}

}  // namespace elms::inline v0::detail
