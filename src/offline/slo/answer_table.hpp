// Which strategies answer which request right, found by trying all of them: what an oracle knows.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "offline/slo/trace.hpp"

namespace elms::inline v0::offline {

class AnswerTable {
 public:
  /// Answers every request at every level and keep ratio of the options, 1 included. Untimed.
  [[nodiscard]] static Result<AnswerTable> make(const Trace& trace, const SloEvalOptions& options);

  [[nodiscard]] bool right(std::size_t request, int level, double keep_ratio) const noexcept;
  /// Requests that some strategy answers right.
  [[nodiscard]] std::int64_t n_answerable() const noexcept;

 private:
  [[nodiscard]] std::size_t index(std::size_t request, int level, std::size_t keep) const noexcept {
    return (request * n_levels_ + static_cast<std::size_t>(level)) * keep_ratios_.size() + keep;
  }

  std::vector<double> keep_ratios_;  ///< ascending, the last is 1
  std::size_t n_levels_ = 0;
  std::vector<std::uint8_t> right_;  ///< [n_requests, n_levels, n_keep]
};

}  // namespace elms::inline v0::offline
