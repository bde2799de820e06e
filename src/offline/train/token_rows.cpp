#include "offline/train/token_rows.hpp"

#include <algorithm>

#include "offline/train/ops.hpp"

namespace elms::inline v0::offline::train {
namespace {

/// Rows that still take an item while later ones are begun. More waste less room and move items further.
constexpr std::size_t kOpenRows = 64;

/// Which items share a row, in the order in which rows were begun.
std::vector<std::vector<std::size_t>> plan_rows(const std::vector<std::size_t>& sizes, std::size_t length) {
  std::vector<std::vector<std::size_t>> rows;
  std::vector<std::size_t> used;  // tokens of each row
  std::vector<std::size_t> open;  // rows with room, the oldest first
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const std::size_t n = sizes[i];
    const auto fits =
        std::find_if(open.begin(), open.end(), [&](std::size_t row) { return used[row] + n <= length; });
    if (fits != open.end()) {
      rows[*fits].push_back(i);
      used[*fits] += n;
      if (used[*fits] == length) open.erase(fits);
      continue;
    }
    if (open.size() == kOpenRows) open.erase(open.begin());
    open.push_back(rows.size());
    rows.push_back({i});
    used.push_back(n);
  }
  return rows;
}

}  // namespace

void TokenRows::reserve(std::size_t n_tokens) {
  if (is_small_) {
    small_.reserve(n_tokens);
  } else {
    large_.reserve(n_tokens);
  }
  is_target_.reserve(n_tokens);
}

void TokenRows::append(const TokenItems& items, std::size_t begin, std::size_t n) {
  const std::span<const TokenId> tokens = std::span(items.tokens).subspan(begin, n);
  if (is_small_) {
    for (const TokenId token : tokens) small_.push_back(static_cast<std::uint16_t>(token));
  } else {
    large_.insert(large_.end(), tokens.begin(), tokens.end());
  }
  const auto learnt = items.is_target.begin() + static_cast<std::ptrdiff_t>(begin);
  is_target_.insert(is_target_.end(), learnt, learnt + static_cast<std::ptrdiff_t>(n));
}

TokenRows TokenRows::cut(const TokenItems& items, std::size_t length, std::size_t n_vocab) {
  TokenRows rows(n_vocab);
  rows.reserve(items.tokens.size());
  const std::size_t n = items.tokens.size();
  rows.append(items, 0, n);
  for (std::size_t at = 0; at < n; at += length) rows.rows_.push_back({at, std::min(length, n - at)});
  return rows;
}

TokenRows TokenRows::pack(const TokenItems& items, std::size_t length, std::size_t n_vocab) {
  TokenRows rows(n_vocab);
  rows.reserve(items.tokens.size());
  std::vector<std::size_t> begins;
  begins.reserve(items.sizes.size());
  std::size_t end = 0;
  for (const std::size_t size : items.sizes) {
    begins.push_back(end);
    end += size;
  }
  std::size_t begin = 0;
  for (const std::vector<std::size_t>& row : plan_rows(items.sizes, length)) {
    std::size_t size = 0;
    for (const std::size_t i : row) {
      rows.append(items, begins[i], items.sizes[i]);
      size += items.sizes[i];
    }
    rows.rows_.push_back({begin, size});
    begin += size;
  }
  return rows;
}

TokenId TokenRows::target(std::size_t i) const noexcept {
  return i < is_target_.size() && is_target_[i] ? at(i) : kIgnoredTarget;
}

std::size_t TokenRows::n_targets(std::size_t row) const noexcept {
  std::size_t n = 0;
  for (std::size_t i = 0; i < rows_[row].size; ++i)
    n += target(rows_[row].begin + i + 1) != kIgnoredTarget ? 1 : 0;
  return n;
}

void TokenRows::copy(std::size_t row, TokenId padding, std::span<TokenId> tokens,
                     std::span<TokenId> targets) const noexcept {
  // What follows a row of examples begins an example, and is no target.
  const auto [begin, size] = rows_[row];
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    tokens[i] = i < size ? at(begin + i) : padding;
    targets[i] = i < size ? target(begin + i + 1) : kIgnoredTarget;
  }
}

}  // namespace elms::inline v0::offline::train
