// One training run from its options to its report: steps, validation and checkpoints in turn.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "elms/model_config.hpp"
#include "elms/offline/training.hpp"
#include "offline/train/checkpoint.hpp"
#include "offline/train/dataset.hpp"
#include "offline/train/schedule.hpp"

namespace elms::inline v0::offline::train {

/// Everything that decides what the steps of a run are. Its length does not belong to it: a run may be made
/// longer.
[[nodiscard]] Recipe make_recipe(const TrainingOptions& options, const ModelConfig& config,
                                 const Dataset& dataset);

/// A loss on data kept apart, and how much it counts in the mean.
struct SharedLoss {
  SourceLoss loss;
  double share = 0.0;
};

/// What a run trains.
class Learner {
 public:
  virtual ~Learner() = default;
  /// Takes step `step`, from 0; returns the loss before it.
  virtual double take_step(std::uint64_t step, double rate) = 0;
  /// Losses without targets are left out.
  virtual std::vector<SharedLoss> validate() = 0;
  /// Everything that steps change.
  virtual std::vector<RunTensor> run_tensors() = 0;
  [[nodiscard]] virtual std::size_t n_parameters() const = 0;
  [[nodiscard]] virtual std::size_t step_tokens() const = 0;  ///< of one step, for the speed
  [[nodiscard]] virtual std::size_t data_tokens() const = 0;
};

/// The references must outlive it. Used by one thread. Of the options it reads what is about the course of a
/// run: its length, rates, checkpoints, validation and on_step.
class TrainingRun {
 public:
  TrainingRun(const TrainingOptions& options, Learner& learner, Recipe recipe);

  /// Goes on where the checkpoint ended.
  Status resume();
  /// Takes steps until the run is over. kCancelled when the callback stopped it, with a checkpoint written.
  Status run();
  /// What is known at the end, but for the file that is to be written.
  [[nodiscard]] TrainingReport report() const;

 private:
  using Clock = std::chrono::steady_clock;

  [[nodiscard]] double elapsed() const;
  void step();
  [[nodiscard]] Status check_loss() const;
  void validate();
  Status write_checkpoint();
  Status tell();
  [[nodiscard]] bool is_over() const { return schedule_.share(state_.step, elapsed()) >= 1.0; }

  const TrainingOptions& options_;
  Learner& learner_;
  Recipe recipe_;
  Schedule schedule_;
  RunState state_;
  Clock::time_point start_ = Clock::now();
  double elapsed_before_ = 0.0;  ///< in the runs before a resume
  double rate_ = 0.0, smoothed_loss_ = 0.0, recent_step_seconds_ = 0.0, step_seconds_ = 0.0;
  std::uint64_t steps_here_ = 0;  ///< since this run began
  std::vector<SourceLoss> valid_by_source_;
};

}  // namespace elms::inline v0::offline::train
