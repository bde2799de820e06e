#include "offline/train/run.hpp"

#include <cmath>
#include <utility>

#include "elms/detail/error.hpp"

namespace elms::inline v0::offline::train {

Recipe make_recipe(const TrainingOptions& options, const ModelConfig& config, const Dataset& dataset) {
  Recipe recipe;
  const auto add = [&](std::string_view key, const auto& value) {
    recipe.push_back(detail::concat(key, " ", value));
  };
  add("architecture", config.architecture);
  add("data", options.data);
  add("rows to train on", dataset.n_train_rows());
  add("tokens to train on", dataset.n_train_tokens());
  add("rows of tokens", options.length);
  add("rows of a batch", options.batch_rows);
  add("batches of a step", options.accumulate);
  add("balanced", options.balance == LossBalance::kRows ? "by row" : "by token");
  add("learning rate", options.learning_rate);
  add("least share of it", options.min_rate_share);
  add("warm-up steps", options.warmup_steps);
  add("beta1", options.beta1);
  add("beta2", options.beta2);
  add("epsilon", options.epsilon);
  add("weight decay", options.weight_decay);
  add("clipping at", options.clip_norm);
  add("validation share", options.valid_fraction);
  add("seed", options.seed);
  return recipe;
}

TrainingRun::TrainingRun(const TrainingOptions& options, Learner& learner, Recipe recipe)
    : options_(options), learner_(learner), recipe_(std::move(recipe)) {
  schedule_.peak = options.learning_rate;
  schedule_.min_share = options.min_rate_share;
  schedule_.warmup_steps = options.warmup_steps;
  schedule_.n_steps = options.n_steps;
  schedule_.n_seconds = 60.0 * options.minutes;
}

double TrainingRun::elapsed() const {
  return elapsed_before_ + std::chrono::duration<double>(Clock::now() - start_).count();
}

Status TrainingRun::resume() {
  ELMS_ASSIGN_OR_RETURN(state_, read_checkpoint(options_.checkpoint, recipe_, learner_.run_tensors()));
  elapsed_before_ = state_.elapsed_seconds;
  start_ = Clock::now();
  return {};
}

Status TrainingRun::run() {
  while (!is_over()) {
    step();
    ELMS_RETURN_IF_ERROR(check_loss());  // before a checkpoint could be replaced by one that is of no use
    const auto is_due = [&](std::uint64_t every) { return every > 0 && state_.step % every == 0; };
    if (is_due(options_.valid_every)) validate();
    if (!options_.checkpoint.empty() && is_due(options_.checkpoint_every))
      ELMS_RETURN_IF_ERROR(write_checkpoint());
    ELMS_RETURN_IF_ERROR(tell());
  }
  if (valid_by_source_.empty() || state_.valid.back().step != state_.step) validate();
  return options_.checkpoint.empty() ? Status() : write_checkpoint();
}

void TrainingRun::step() {
  const Clock::time_point begin = Clock::now();
  rate_ = schedule_.rate(state_.step, elapsed());
  const double loss = learner_.take_step(state_.step, rate_);
  const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  ++state_.step;
  ++steps_here_;
  state_.train_losses.push_back(static_cast<float>(loss));
  constexpr double kLossMemory = 0.98, kTimeMemory = 0.9;
  const bool is_first = steps_here_ == 1;
  smoothed_loss_ = is_first ? loss : kLossMemory * smoothed_loss_ + (1.0 - kLossMemory) * loss;
  recent_step_seconds_ =
      is_first ? seconds : kTimeMemory * recent_step_seconds_ + (1.0 - kTimeMemory) * seconds;
  step_seconds_ += seconds;
}

Status TrainingRun::check_loss() const {
  if (!std::isfinite(state_.train_losses.back())) {
    return detail::invalid_argument("training: the loss of step ", state_.step,
                                    " is not finite: a lower learning rate helps");
  }
  return {};
}

void TrainingRun::validate() {
  valid_by_source_.clear();
  double mean = 0.0, shares = 0.0;
  for (SharedLoss& measured : learner_.validate()) {
    mean += measured.share * measured.loss.loss;
    shares += measured.share;
    valid_by_source_.push_back(std::move(measured.loss));
  }
  if (shares > 0.0) state_.valid.push_back({state_.step, mean / shares});
}

Status TrainingRun::write_checkpoint() {
  state_.elapsed_seconds = elapsed();
  return train::write_checkpoint(options_.checkpoint, recipe_, state_, learner_.run_tensors());
}

Status TrainingRun::tell() {
  if (!options_.on_step) return {};
  TrainingProgress progress;
  const double now = elapsed();
  progress.step = state_.step;
  progress.fraction = schedule_.share(state_.step, now);
  progress.loss = smoothed_loss_;
  if (!state_.valid.empty()) progress.valid_loss = state_.valid.back().loss;
  progress.learning_rate = rate_;
  const double tokens = static_cast<double>(learner_.step_tokens());
  progress.tokens_per_second = tokens / recent_step_seconds_;
  const double here = now - elapsed_before_,
               steps_left = static_cast<double>(options_.n_steps) - static_cast<double>(state_.step);
  progress.seconds_left = options_.n_steps > 0 ? here * steps_left / static_cast<double>(steps_here_)
                                               : 60.0 * options_.minutes - now;
  if (options_.minutes > 0.0)
    progress.seconds_left = std::min(progress.seconds_left, 60.0 * options_.minutes - now);
  if (options_.on_step(progress) == Flow::kContinue) return {};
  if (options_.checkpoint.empty())
    return detail::error(StatusCode::kCancelled, "training: stopped after ", state_.step, " steps");
  ELMS_RETURN_IF_ERROR(write_checkpoint());
  return detail::error(StatusCode::kCancelled, "training: stopped after ", state_.step, " steps; ",
                       options_.checkpoint, " has them");
}

TrainingReport TrainingRun::report() const {
  TrainingReport report;
  const std::size_t step_tokens = learner_.step_tokens();
  report.n_parameters = learner_.n_parameters();
  report.n_steps = state_.step;
  report.n_tokens = state_.step * step_tokens;
  report.data_tokens = learner_.data_tokens();
  report.seconds = elapsed();
  if (steps_here_ > 0)
    report.tokens_per_second = static_cast<double>(steps_here_ * step_tokens) / step_seconds_;
  for (std::size_t i = 0; i < state_.train_losses.size(); ++i) {
    report.train.push_back({i, static_cast<double>(state_.train_losses[i])});
  }
  report.valid = state_.valid;
  report.valid_by_source = valid_by_source_;
  return report;
}

}  // namespace elms::inline v0::offline::train
