// Which strategies answer which question right, found by trying all of them.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "elms/elastic_model.hpp"
#include "elms/offline/progress.hpp"
#include "elms/offline/tasks.hpp"
#include "elms/prompt_refiner.hpp"
#include "elms/segment.hpp"
#include "elms/status.hpp"

namespace elms::inline v0::offline {

/// A prompt and the first line of its right answer.
struct Question {
  std::vector<Segment> prompt;
  std::string answer;
  std::int32_t max_tokens = 0;  ///< of an answer
};
[[nodiscard]] Question question_of(const TaskItem& item, std::int32_t max_tokens);

/// The first line of an answer without the blanks around it: what is compared with the right choice.
[[nodiscard]] std::string first_line(std::string_view text);

struct AnswerTableOptions {
  std::shared_ptr<const ElasticModel> model;
  std::shared_ptr<const PromptRefiner> refiner;  ///< null: prompts stay whole
  std::vector<double> keep_ratios;               ///< beside 1; of no use without a refiner
  ProgressCallback progress;
};

class AnswerTable {
 public:
  /// Answers every question at every level and keep ratio. Untimed. `phase` names the work in the progress.
  [[nodiscard]] static Result<AnswerTable> make(std::span<const Question* const> questions,
                                                const AnswerTableOptions& options, std::string_view phase);

  [[nodiscard]] bool right(std::size_t question, int level, double keep_ratio) const noexcept;
  /// Questions that some strategy answers right.
  [[nodiscard]] std::int64_t n_answerable() const noexcept;
  /// Ascending, the last is 1.
  [[nodiscard]] std::span<const double> keep_ratios() const noexcept { return keep_ratios_; }

 private:
  [[nodiscard]] std::size_t index(std::size_t question, int level, std::size_t keep) const noexcept {
    return (question * n_levels_ + static_cast<std::size_t>(level)) * keep_ratios_.size() + keep;
  }

  std::vector<double> keep_ratios_;
  std::size_t n_levels_ = 0;
  std::vector<std::uint8_t> right_;  ///< [n_questions, n_levels, n_keep]
};

}  // namespace elms::inline v0::offline
