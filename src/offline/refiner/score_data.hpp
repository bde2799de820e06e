// Texts whose words are labelled with whether a shorter text keeps them.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "elms/offline/refiner_training.hpp"
#include "elms/types.hpp"
#include "offline/refiner/refiner_file.hpp"

namespace elms::inline v0::offline::refiner {

/// A text as tokens without [CLS] and [SEP]; a word's label is that of all its tokens.
struct LabelledText {
  std::vector<TokenId> tokens;
  std::vector<float> labels;       ///< [tokens] share in [0, 1]; of words that do not count: any
  std::vector<float> weights;      ///< [tokens] 0: not learnt
  std::vector<std::size_t> words;  ///< first token of every word
};

/// Adds words to texts.
class TextLabeller {
 public:
  explicit TextLabeller(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {}
  void add_word(std::string_view word, float label, float weight, LabelledText& text) const;

 private:
  const Tokenizer& tokenizer_;
};

/// Words as whitespace separates them.
[[nodiscard]] std::vector<std::string_view> words_of(std::string_view text);

struct ScoreData {
  std::vector<LabelledText> sentences;        ///< to train on; neighbours may be joined
  std::vector<LabelledText> valid, test;      ///< pairs kept apart
  std::vector<LabelledText> meetings, tasks;  ///< to train on
  std::vector<LabelledText> valid_tasks;
  std::size_t n_pairs = 0, n_not_deletions = 0;
};
/// kNotFound, kMalformedFile, kInvalidArgument.
[[nodiscard]] Result<ScoreData> read_score_data(const RefinerTrainingOptions& options,
                                                const RefinerModel& model);

/// Prompts of `elms tasks` and meetings of QMSum as labelled texts of at most max_tokens.
Status read_task_prompts(const std::string& path, const RefinerTrainingOptions& options,
                         const TextLabeller& labeller, std::size_t max_tokens, ScoreData& data);
Status read_meetings(const std::string& path, const RefinerTrainingOptions& options,
                     const TextLabeller& labeller, std::size_t max_tokens, ScoreData& data);

}  // namespace elms::inline v0::offline::refiner
