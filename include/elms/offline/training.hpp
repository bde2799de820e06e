// Training a model from nothing, or further, on texts and examples.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "elms/offline/progress.hpp"
#include "elms/offline/synth.hpp"
#include "elms/status.hpp"
#include "elms/thread_pool.hpp"
#include "elms/types.hpp"

namespace elms::inline v0::offline {

/// How far a training run is.
struct TrainingProgress {
  std::uint64_t step = 0;            ///< steps done
  double fraction = 0.0;             ///< of the run, by steps or by time, whichever is further
  double loss = 0.0;                 ///< of the last steps, smoothed, in nats a token
  std::optional<double> valid_loss;  ///< the last one measured
  double learning_rate = 0.0;
  double tokens_per_second = 0.0;  ///< of the last steps
  double seconds_left = 0.0;
};

/// Called after every step on the calling thread; kStop ends the run with kCancelled.
using TrainingCallback = std::function<Flow(const TrainingProgress&)>;

/// How much a token that is learnt counts in the loss of a batch.
enum class LossBalance : std::uint8_t {
  kTokens,  ///< all the same
  kRows,    ///< all rows the same, whatever they have to learn: else completions drown among texts
};

struct TrainingOptions {
  std::string
      data;  ///< "wiki.txt:2,tasks.jsonl:5": files, their weights and more, as `elms train --help` says

  // What is trained: a model that is there, or a new one of `shape` with the vocabulary of a GGUF file.
  std::string init_model;
  std::string vocabulary;
  SynthShape shape;  ///< n_vocab 0: the vocabulary's. Weights are drawn from `seed`

  // How long: the first of both that is reached; 0 is no limit, and one of them must be there.
  std::uint64_t n_steps = 0;
  double minutes = 0.0;  ///< of wall-clock time in training, all runs of a resumed training together

  // What a step is: `accumulate` times a batch of `batch_rows` rows of `length` tokens.
  std::size_t batch_rows = 16, length = 512, accumulate = 1;
  LossBalance balance = LossBalance::kTokens;
  bool recompute_activations = false;  ///< much less memory, about a third more time

  // AdamW (Loshchilov, Hutter 2019). The rate rises over `warmup_steps` and falls as a cosine over the whole
  // run, to min_rate_share of its peak. Decay is for matrices only.
  double learning_rate = 3e-3, min_rate_share = 0.1;
  std::uint64_t warmup_steps = 100;
  double beta1 = 0.9, beta2 = 0.95, epsilon = 1e-8, weight_decay = 0.1;
  double clip_norm = 1.0;  ///< of the gradient of all parameters; 0: no clipping

  double valid_fraction = 0.005;    ///< of each file's rows, never trained on
  std::uint64_t valid_every = 500;  ///< steps; 0: only at the end
  std::size_t valid_rows = 64;      ///< at most, of each file

  /// A file from which the run can go on: written every checkpoint_every steps (0: not), at the end, and when
  /// the run is stopped. One that is there is only replaced by the run that resumes from it.
  std::string checkpoint;
  std::uint64_t checkpoint_every = 0;
  bool resume = false;

  std::string output;  ///< GGUF file to write
  DType type = DType::kF16;
  std::string name;  ///< general.name; empty: the initial model's, or "elms"
  std::uint64_t seed = 1;
  std::shared_ptr<ThreadPool> pool;  ///< null: one of its own
  ProgressCallback progress;         ///< while data is read: phase "tokenise"
  TrainingCallback on_step;
};

struct LossPoint {
  std::uint64_t step = 0;  ///< steps done when it was measured
  double loss = 0.0;       ///< nats a token
};

struct SourceLoss {
  std::string path;
  double loss = 0.0;         ///< on its validation rows, nats a token
  std::size_t n_tokens = 0;  ///< predicted
};

struct TrainingReport {
  std::size_t n_parameters = 0;
  std::uint64_t n_steps = 0;                ///< of the whole training, resumed runs included
  std::uint64_t n_tokens = 0;               ///< the same, padding included
  std::uint64_t data_tokens = 0;            ///< there are to train on
  double seconds = 0.0;                     ///< the same
  double tokens_per_second = 0.0;           ///< of this run's steps, without validation and checkpoints
  std::vector<LossPoint> train;             ///< of every step's batch, before the step
  std::vector<LossPoint> valid;             ///< mean over the files by their share of the training
  std::vector<SourceLoss> valid_by_source;  ///< at the end; empty without validation rows
  std::uint64_t bytes_written = 0;
};

/// Trains and writes options.output. The result depends on options, files and seed only, not on the number of
/// threads; a run that is limited by steps and resumed from a checkpoint gives the same bytes as one without
/// a break (limited by minutes it cannot: its learning rate follows the clock).
///
/// kInvalidArgument for options that cannot work, a checkpoint of another training, or one that is there and
/// not to be resumed; kNotFound, kIoError, kMalformedFile of files; kCancelled when a callback stopped it:
/// the checkpoint, if there is to be one, was written.
[[nodiscard]] Result<TrainingReport> train_model(const TrainingOptions& options);

}  // namespace elms::inline v0::offline
