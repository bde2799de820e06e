// The algorithms: from one piece of text to tokens.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "elms/types.hpp"
#include "merge_queue.hpp"
#include "vocabulary.hpp"

namespace elms::inline v0::detail {

/// Memory that one encode() reuses from piece to piece.
struct Workspace {
  MergeQueue merges;
  std::string text;
  std::vector<std::uint64_t> hashes;
};

/// Immutable; any number of threads may use one, each with its own Workspace.
class TokenModel {
 public:
  /// No piece may be longer than this; positions are 32 bits.
  static constexpr std::size_t kMaxPieceBytes = std::size_t{1} << 30;

  virtual ~TokenModel() = default;
  /// Appends the tokens of `piece`.
  virtual void encode(std::string_view piece, Workspace& workspace, std::vector<TokenId>& out) const = 0;
};

// Each keeps a reference to the vocabulary, which must outlive it.
[[nodiscard]] std::unique_ptr<TokenModel> make_scored_merges(const Vocabulary& vocabulary);
[[nodiscard]] std::unique_ptr<TokenModel> make_ranked_merges(const Vocabulary& vocabulary);
[[nodiscard]] std::unique_ptr<TokenModel> make_word_piece(const Vocabulary& vocabulary);

}  // namespace elms::inline v0::detail
