// Tokens in rows of equal length, with what is to be predicted in them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "elms/types.hpp"

namespace elms::inline v0::offline::train {

/// Documents or examples as tokens, one after the other.
struct TokenItems {
  std::vector<TokenId> tokens;
  std::vector<bool> is_target;     ///< [tokens]: learnt to be predicted; never the first of an item
  std::vector<std::size_t> sizes;  ///< tokens of each item
};

class TokenRows {
 public:
  /// Cuts the items, put one after the other, into rows. The last may be shorter.
  [[nodiscard]] static TokenRows cut(const TokenItems& items, std::size_t length, std::size_t n_vocab);
  /// Puts whole items, each of at most `length` tokens, into rows: into the first of the open ones that has
  /// room.
  [[nodiscard]] static TokenRows pack(const TokenItems& items, std::size_t length, std::size_t n_vocab);

  [[nodiscard]] std::size_t n_rows() const noexcept { return rows_.size(); }
  [[nodiscard]] std::size_t n_tokens(std::size_t row) const noexcept { return rows_[row].size; }
  /// Positions of the row that have a target.
  [[nodiscard]] std::size_t n_targets(std::size_t row) const noexcept;

  /// Writes a row, tokens and targets [length], `padding` and kIgnoredTarget behind its end.
  void copy(std::size_t row, TokenId padding, std::span<TokenId> tokens,
            std::span<TokenId> targets) const noexcept;

 private:
  struct Row {
    std::size_t begin;
    std::size_t size;
  };
  explicit TokenRows(std::size_t n_vocab) : is_small_(n_vocab <= std::size_t{1} << 16) {}

  void reserve(std::size_t n_tokens);
  void append(const TokenItems& items, std::size_t begin, std::size_t n);
  [[nodiscard]] TokenId at(std::size_t i) const noexcept {
    return is_small_ ? TokenId{small_[i]} : large_[i];
  }
  /// The token at i where it is to be predicted, else kIgnoredTarget; also behind the end.
  [[nodiscard]] TokenId target(std::size_t i) const noexcept;

  bool is_small_;
  std::vector<std::uint16_t> small_;  ///< the tokens where is_small_
  std::vector<TokenId> large_;        ///< the tokens where not
  std::vector<bool> is_target_;       ///< of each token
  std::vector<Row> rows_;
};

}  // namespace elms::inline v0::offline::train
