// How well scores of words agree with what people keep of a sentence, and what cutting prompts costs in
// answers.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "elms/elastic_model.hpp"
#include "elms/offline/progress.hpp"
#include "elms/offline/tasks.hpp"
#include "elms/prompt_refiner.hpp"
#include "elms/refine.hpp"
#include "elms/session.hpp"
#include "elms/status.hpp"

namespace elms::inline v0::offline {

/// Where the scores of words come from.
enum class ScoreMethod : std::uint8_t {
  kRefiner,          ///< PromptRefiner
  kRandom,           ///< uniform, by seed
  kTruncation,       ///< the earlier, the higher
  kSelfInformation,  ///< sum of -log p of a word's tokens under a language model (Selective Context, Li et
                     ///< al. 2023)
};
/// "refiner", "random", "truncation", "self-information". Static storage.
[[nodiscard]] const char* to_string(ScoreMethod method) noexcept;

/// Scores of a prompt's words by any method. One thread at a time.
class WordScorer {
 public:
  /// `refiner` and `model` may be null where their method is not asked for.
  WordScorer(std::shared_ptr<const PromptRefiner> refiner, std::shared_ptr<const ElasticModel> model,
             std::uint64_t seed = 0);
  /// [number of prompt_words(prompt, options)]. kInvalidArgument: the method needs what there is not.
  [[nodiscard]] Result<std::vector<float>> score(ScoreMethod method, std::span<const Segment> prompt,
                                                 const RefineOptions& options);

 private:
  Result<std::vector<float>> self_information(std::string_view text, std::span<const PromptWord> words);

  std::shared_ptr<const PromptRefiner> refiner_;
  std::shared_ptr<const ElasticModel> model_;
  std::optional<Session> session_;
  std::uint64_t seed_;
  std::uint64_t n_drawn_ = 0;
};

struct RefinerEvalOptions {
  std::shared_ptr<const PromptRefiner> refiner;  ///< null: no rows of its own
  std::shared_ptr<const ElasticModel> model;     ///< null: no self-information
  std::int64_t from_line = 0;                    ///< lines before it (from 0) are left out
  std::int64_t max_pairs = 0;                    ///< at most so many lines from there; 0: all
  std::uint64_t seed = 1;
  ProgressCallback progress;
};

/// Words that a method keeps against those that people kept, over all words of all pairs together.
struct KeepScore {
  std::string method;
  double keep_ratio = 0.0;  ///< kept share of all words
  double precision = 0.0, recall = 0.0, f1 = 0.0;
  std::int64_t n = 0;  ///< pairs
};

struct RefinerEvalResult {
  std::vector<KeepScore> scores;
  std::int64_t n_pairs = 0;    ///< judged
  std::int64_t n_skipped = 0;  ///< the compression does more than delete, or one of both is empty
};

/// Line i of `compressions` is what is left of line i of `sentences`. A pair's labels come from the longest
/// common subsequence of both texts' words, without regard to case; a pair whose compression has a word
/// outside it is skipped. Marks of punctuation are neither kept nor dropped here. Every method keeps as many
/// words of a sentence as the people did, the words of the highest score; "refiner, best threshold" keeps
/// those above the one threshold of all sentences that gives the highest F1 on these pairs; "stop words"
/// drops the words of a list. kInvalidArgument: the texts have different numbers of lines, or no pair is
/// left.
[[nodiscard]] Result<RefinerEvalResult> evaluate_refiner(std::string_view sentences,
                                                         std::string_view compressions,
                                                         const RefinerEvalOptions& options);

struct RefinedTaskOptions {
  std::vector<ScoreMethod> methods;
  std::vector<double> keep_ratios;               ///< of the tokens of a prompt that may be dropped, in (0, 1]
  std::shared_ptr<const PromptRefiner> refiner;  ///< needed by kRefiner
  RefineOptions refine;        ///< the other methods cut by words only, whatever `filter` says
  int level = 0;               ///< of the model
  std::int64_t max_items = 0;  ///< sampled evenly over the items; 0: all
  std::uint64_t seed = 1;
  ProgressCallback progress;
};

struct RefinedTaskResult {
  ScoreMethod method = ScoreMethod::kRefiner;
  double keep_ratio = 1.0;
  std::int64_t n = 0;
  double accuracy = 0.0;
  double tokens_before = 0.0, tokens_after = 0.0;  ///< mean of a prompt
};

/// A prompt as segments: its last line is the question; where that is only a cue for the answer
/// ("Function:"), the line before belongs to it. Everything before is compressible.
[[nodiscard]] std::vector<Segment> task_segments(std::string_view prompt);

/// Accuracy of the model on items whose prompts were cut, for each method and keep ratio. A prompt's budget
/// is the tokens of its question and that share of the others.
[[nodiscard]] Result<std::vector<RefinedTaskResult>> evaluate_refined_task(
    std::shared_ptr<const ElasticModel> model, std::span<const TaskItem> items,
    const RefinedTaskOptions& options);

}  // namespace elms::inline v0::offline
