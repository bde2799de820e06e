// Steps of recovery: how many, how fast, the checkpoint between them, and one of the optimiser.
#pragma once

#include <chrono>
#include <cmath>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "elms/detail/error.hpp"
#include "elms/offline/recovery.hpp"
#include "offline/progress_meter.hpp"
#include "offline/train/adamw.hpp"
#include "offline/train/checkpoint.hpp"
#include "offline/train/schedule.hpp"

namespace elms::inline v0::offline {

/// Steps until the time or the number of steps is up, with their learning rates; and the checkpoint to go on
/// from.
class StepClock {
 public:
  StepClock(const RecoveryOptions& options, double default_rate) : options_(options) {
    schedule_.peak = options.learning_rate > 0.0 ? options.learning_rate : default_rate;
    schedule_.warmup_steps = options.warmup_steps;
    schedule_.n_steps = options.n_steps;
    schedule_.n_seconds = 60.0 * options.minutes;
  }

  /// Names what must be the same when the run goes on, and its tensors, which are filled where it does.
  Status begin(train::Recipe recipe, std::vector<train::RunTensor> tensors) {
    recipe_ = std::move(recipe);
    tensors_ = std::move(tensors);
    if (!options_.resume) return {};
    ELMS_ASSIGN_OR_RETURN(state_, train::read_checkpoint(options_.checkpoint, recipe_, tensors_));
    start_ = Clock::now();
    return {};
  }
  /// A step with this loss is done: kInvalidArgument for one that is not finite.
  Status advance(double loss) {
    if (!std::isfinite(loss)) {
      return detail::invalid_argument("recover: the loss of step ", state_.step,
                                      " is not finite; use a lower learning rate");
    }
    state_.train_losses.push_back(static_cast<float>(loss));
    ++state_.step;
    if (options_.checkpoint_every == 0 || state_.step % options_.checkpoint_every != 0) return {};
    return save();
  }
  /// Tells how far the run is; when it is to stop, the checkpoint is written.
  Status report(ProgressMeter& meter) {
    Status status = meter.report(share());
    if (status.ok() || options_.checkpoint.empty()) return status;
    ELMS_RETURN_IF_ERROR(save());
    return detail::error(status.code(), status.message(), "; ", options_.checkpoint, " has ", state_.step,
                         " steps");
  }

  [[nodiscard]] double share() const { return schedule_.share(state_.step, elapsed()); }
  [[nodiscard]] double rate() const { return schedule_.rate(state_.step, elapsed()); }
  [[nodiscard]] std::uint64_t step() const noexcept { return state_.step; }

 private:
  using Clock = std::chrono::steady_clock;
  [[nodiscard]] double elapsed() const {
    return state_.elapsed_seconds + std::chrono::duration<double>(Clock::now() - start_).count();
  }
  Status save() {
    train::RunState state = state_;
    state.elapsed_seconds = elapsed();
    return train::write_checkpoint(options_.checkpoint, recipe_, state, tensors_);
  }

  const RecoveryOptions& options_;
  train::Schedule schedule_;
  train::Recipe recipe_;
  std::vector<train::RunTensor> tensors_;
  train::RunState state_;
  Clock::time_point start_ = Clock::now();
};

/// What decides the steps of a run, beside the method's own settings.
inline train::Recipe recovery_recipe(const RecoveryOptions& options) {
  train::Recipe recipe;
  const auto add = [&](std::string_view key, const auto& value) {
    recipe.push_back(detail::concat(key, " ", value));
  };
  add("method", to_string(options.method));
  add("data", options.data);
  add("rows of tokens", options.length);
  add("rows of a batch", options.batch_rows);
  add("balanced", options.balance == LossBalance::kRows ? "by row" : "by token");
  add("learning rate", options.learning_rate);
  add("warm-up steps", options.warmup_steps);
  add("clipping at", options.clip_norm);
  add("cross-entropy weight", options.cross_entropy_weight);
  add("validation share", options.valid_fraction);
  add("seed", options.seed);
  return recipe;
}

/// One step of the optimiser with the gradient's norm clipped; gradients become zeros.
inline void optimise(ThreadPool& pool, train::AdamW& adam, const StepClock& clock, double clip_norm,
                     std::span<float> gradients, std::span<float> params) {
  double scale = 1.0;
  if (clip_norm > 0.0) {
    const double norm = adam.norm(pool, gradients);
    if (norm > clip_norm) scale = clip_norm / norm;
  }
  adam.step(pool, clock.step() + 1, clock.rate(), scale, gradients, params);
}

}  // namespace elms::inline v0::offline
