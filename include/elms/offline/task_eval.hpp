// How often a model finds the right choice of a task's items at each of its levels.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "elms/elastic_model.hpp"
#include "elms/offline/progress.hpp"
#include "elms/offline/tasks.hpp"
#include "elms/status.hpp"

namespace elms::inline v0::offline {

struct TaskEvalOptions {
  std::int64_t max_items = 0;  ///< sampled evenly over the items; 0: all
  KvType kv_type = KvType::kF16;
  std::shared_ptr<ThreadPool> pool;  ///< null: the model's
  ProgressCallback progress;
};

/// Right answers among n items.
struct Score {
  std::int64_t n = 0;
  std::int64_t right = 0;
  [[nodiscard]] double accuracy() const noexcept {
    return n == 0 ? 0.0 : static_cast<double>(right) / static_cast<double>(n);
  }
};

struct TaskEvalResult {
  int level = 0;
  double cost_share = 1.0;
  Score total;               ///< the choice of the highest likelihood
  Score normalised;          ///< of the highest likelihood per byte of its text
  Score seen, unseen;        ///< of total: the items that say whether training may have used their function
  double chance = 0.0;       ///< mean of 1 / number of choices
  std::int64_t skipped = 0;  ///< items that do not fit into the model's context, in no score
};

/// One result for each of `levels`. The likelihood of a choice is the sum of the log probabilities of its
/// tokens after the prompt's; of equal ones the first wins. The prompt is computed once, and what choices
/// begin with alike is computed once. kInvalidArgument for no items, for items without two choices and a
/// right one among them, and for levels that there are not; kOutOfContext where no item fits; kCancelled; and
/// what Tokenizer and Session fail with.
[[nodiscard]] Result<std::vector<TaskEvalResult>> evaluate_task(std::shared_ptr<const ElasticModel> model,
                                                                std::span<const TaskItem> items,
                                                                std::span<const int> levels,
                                                                const TaskEvalOptions& options = {});

/// An item as tokens: what add_special puts before a text, the prompt, and each choice after it. Where the
/// tokens of prompt and choice together do not begin with the prompt's, the choice is encoded as if it began
/// after a new line.
struct TaskTokens {
  std::vector<TokenId> prompt;
  std::vector<std::vector<TokenId>> choices;
};
[[nodiscard]] TaskTokens tokenize_task(const Tokenizer& tokenizer, const TaskItem& item);

}  // namespace elms::inline v0::offline
