// Training the encoder that refines prompts: masked-LM pre-training, the score head, the decision branch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "elms/offline/training.hpp"
#include "elms/status.hpp"

namespace elms::inline v0::offline {

enum class RefinerStage : std::uint8_t {
  kMaskedLm,  ///< trunk and score layers, to predict masked tokens of texts
  kScore,     ///< the same and the score head, to predict which words a shorter text keeps
  kDecision,  ///< the decision branch alone, to predict which strategies answer right
};

/// Of a new encoder.
struct RefinerShape {
  std::size_t d_model = 256, n_heads = 4, d_ff = 1024, max_positions = 512;
  std::size_t n_layers = 4, n_shared_layers = 2;  ///< trunk and score branch; of these the trunk's
};

struct RefinerTrainingOptions {
  RefinerStage stage = RefinerStage::kScore;

  /// The course of the run, files, rates, seed. `data` names the texts of kMaskedLm, `vocabulary` a WordPiece
  /// GGUF for a new encoder, `init_model` a refiner file to go on with. `batch_rows` times `length` is the
  /// number of tokens of a batch in every stage.
  TrainingOptions run;
  RefinerShape shape;
  /// Texts with weights, as run.data: a new encoder's token embeddings come from which tokens stand near
  /// which in them, and not from noise. Empty: from noise.
  std::string embedding_data;
  /// Token embeddings move by this share of the learning rate: below 1, rare words keep what embedding_data
  /// says of them.
  double embedding_rate_share = 1.0;
  double dropout = 0.1;
  double mask_share = 0.2;  ///< of the tokens, for kMaskedLm

  // kScore. Sentences and their compressions are line-aligned files; pairs that are no deletion are left out.
  std::string sentences, compressions;
  std::size_t test_from = 8500;                     ///< first pair that is never trained on
  std::size_t valid_pairs = 300;                    ///< before that, for the validation loss
  std::vector<std::string> meetings;                ///< QMSum files (JSON lines)
  std::vector<std::string> tasks;                   ///< JSON lines of `elms tasks`
  double meeting_weight = 0.15, task_weight = 0.5;  ///< of a word of these; 1: as one of a sentence

  // kDecision.
  std::string labels;  ///< JSON lines of label_strategies()
  std::size_t n_decision_layers = 1, n_decision_hidden = 64;
};

/// How well words are kept on the pairs from test_from on.
struct KeepQuality {
  std::string method;  ///< "threshold" (0.5), or "ratio" (as many words of a sentence as the reference keeps
                       ///< in the mean)
  double precision = 0.0, recall = 0.0, f1 = 0.0;  ///< over all words
  std::size_t n_pairs = 0;
};

/// Predicted qualities of one bin against how often the answers were right.
struct CalibrationBin {
  double predicted = 0.0, observed = 0.0;  ///< means
  std::size_t n = 0;
};

/// Right answers on held-out prompts when one strategy may be chosen whose cost (width times keep ratio) is
/// at most a cap.
struct StrategyRegret {
  double cost_cap = 1.0;
  double chosen = 0.0;      ///< by the head
  double best_fixed = 0.0;  ///< the one strategy that was best on the training prompts
  double oracle = 0.0;      ///< any that answers right
};

struct DecisionQuality {
  double temperature = 1.0, loss = 0.0,
         base_loss = 0.0;          ///< base: every strategy's rate on the training prompts
  double calibration_error = 0.0;  ///< mean |predicted - observed|, by bins
  std::vector<CalibrationBin> bins;
  std::vector<StrategyRegret> regrets;
  std::size_t n_prompts = 0;  ///< held out, neither trained on nor used for the temperature
};

struct RefinerTrainingReport {
  TrainingReport training;
  std::size_t n_pairs = 0, n_not_deletions = 0;  ///< kScore: lines read, and left out
  std::vector<KeepQuality> quality;              ///< kScore
  DecisionQuality decision;                      ///< kDecision
};

/// As train_model; the result is a refiner file (see elms/detail/encoder.hpp).
[[nodiscard]] Result<RefinerTrainingReport> train_refiner(const RefinerTrainingOptions& options);

struct StrategyLabelOptions {
  std::string refiner;             ///< a refiner file with a score head
  std::string model;               ///< the elastic model whose answers are judged, at all its levels
  std::vector<std::string> tasks;  ///< JSON lines of `elms tasks`
  std::vector<double> keep_ratios = {0.2, 0.4, 0.6, 0.8, 1.0};
  std::size_t max_items = 0;  ///< of each file, sampled evenly; 0: all
  std::string output;         ///< JSON lines to write
  std::shared_ptr<ThreadPool> pool;
  ProgressCallback progress;  ///< phase "label"
};

/// Which strategies answer right: every task prompt is cut to each keep ratio and asked at each level. A line
/// has
/// {"prompt", "widths", "keep_ratios", "right": [[0 or 1, ...] for each width]}. Returns how many were
/// written; prompts that protected text alone makes too long for a ratio count as not answered there.
[[nodiscard]] Result<std::size_t> label_strategies(const StrategyLabelOptions& options);

}  // namespace elms::inline v0::offline
