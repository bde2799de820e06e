// One training run from its options to its report: steps, validation and checkpoints in turn.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "elms/offline/training.hpp"
#include "offline/train/checkpoint.hpp"
#include "offline/train/dataset.hpp"
#include "offline/train/schedule.hpp"
#include "offline/train/trainer.hpp"

namespace elms::inline v0::offline::train {

/// Everything that decides what the steps of a run are. Its length does not belong to it: a run may be made
/// longer.
[[nodiscard]] Recipe make_recipe(const TrainingOptions& options, const ModelConfig& config,
                                 const Dataset& dataset);

/// The references must outlive it. Used by one thread.
class TrainingRun {
 public:
  TrainingRun(const TrainingOptions& options, const Dataset& dataset, Trainer& trainer, Recipe recipe);

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
  const Dataset& dataset_;
  Trainer& trainer_;
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
