#include "offline/recovery/methods.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>
#include <optional>

#include "elms/detail/error.hpp"
#include "offline/progress_meter.hpp"
#include "offline/random.hpp"
#include "offline/recovery/compensation.hpp"
#include "offline/train/adamw.hpp"
#include "offline/train/schedule.hpp"

namespace elms::inline v0::offline {
namespace {

using detail::Buffer;
using Clock = std::chrono::steady_clock;

/// Steps until the time or the number of steps is up, with their learning rates.
class StepClock {
 public:
  explicit StepClock(const RecoveryOptions& options, double default_rate) {
    schedule_.peak = options.learning_rate > 0.0 ? options.learning_rate : default_rate;
    schedule_.warmup_steps = options.warmup_steps;
    schedule_.n_steps = options.n_steps;
    schedule_.n_seconds = 60.0 * options.minutes;
  }
  [[nodiscard]] double share() const { return schedule_.share(step_, elapsed()); }
  [[nodiscard]] double rate() const { return schedule_.rate(step_, elapsed()); }
  [[nodiscard]] std::uint64_t step() const noexcept { return step_; }
  void advance() noexcept { ++step_; }

 private:
  [[nodiscard]] double elapsed() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }
  train::Schedule schedule_;
  std::uint64_t step_ = 0;
  Clock::time_point start_ = Clock::now();
};

Status check_loss(double loss, std::uint64_t step) {
  if (std::isfinite(loss)) return {};
  return detail::invalid_argument("recover: the loss of step ", step, " is not finite; use a lower learning rate");
}

/// One step of the optimiser with the gradient's norm clipped; gradients become zeros.
void optimise(ThreadPool& pool, train::AdamW& adam, const StepClock& clock, double clip_norm, std::span<float> gradients,
              std::span<float> params) {
  double scale = 1.0;
  if (clip_norm > 0.0) {
    const double norm = adam.norm(pool, gradients);
    if (norm > clip_norm) scale = clip_norm / norm;
  }
  adam.step(pool, clock.step() + 1, clock.rate(), scale, gradients, params);
}

std::size_t largest_level(const RecoveryTask& task) {
  std::size_t size = 0;
  for (const LevelModel& level : task.levels) size = std::max(size, level.layout.size());
  return size;
}

LoraShape lora_shape(const RecoveryOptions& options) {
  LoraShape shape;
  shape.rank = options.rank;
  shape.alpha = options.alpha;
  shape.targets = options.targets;
  if (shape.targets.empty()) shape.targets = {"attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"};
  shape.attention_bias = options.train_biases && options.attention_bias;
  shape.ffn_bias = options.train_biases && options.ffn_bias;
  return shape;
}

/// A level that learns by an update.
struct Student {
  const LevelModel* level;
  LevelUpdate update;
  train::AdamW adam;
  std::vector<float> gradient;  ///< by the update
};

/// Two arrays of a level's parameters that all students take turns with.
struct Workspace {
  Buffer<float> params, gradients;
};

Status learn_step(const RecoveryTask& task, Distiller& distiller, const train::TokenBatch& batch, const StepClock& clock,
                  Workspace& space, Student& student) {
  const LevelModel& level = *student.level;
  const std::size_t n = level.layout.size();
  const std::span<float> params(space.params.data(), n), gradients(space.gradients.data(), n);
  cut_level(task, task.params, level, params);
  const std::vector<float> base(params.begin(), params.end());
  apply_update<float>(*task.pool, student.update.layout, base, student.update.values, params);
  std::fill(gradients.begin(), gradients.end(), 0.0f);
  const double loss = distiller.learn(level.layout, params, batch, task.options.cross_entropy_weight, gradients.data());
  ELMS_RETURN_IF_ERROR(check_loss(loss, clock.step()));
  add_update_gradient<float>(*task.pool, student.update.layout, student.update.values, gradients, student.gradient);
  optimise(*task.pool, student.adam, clock, task.options.clip_norm, student.gradient, student.update.values);
  return {};
}

/// `count` different ones of the levels between the narrowest and the full one.
std::vector<std::size_t> draw_levels(std::size_t n_levels, std::size_t count, std::uint64_t seed) {
  std::vector<std::size_t> middle;
  for (std::size_t i = 1; i + 1 < n_levels; ++i) middle.push_back(i);
  count = std::min(count, middle.size());
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t other = i + static_cast<std::size_t>(mixed(seed + i) % (middle.size() - i));
    std::swap(middle[i], middle[other]);
  }
  middle.resize(count);
  return middle;
}

}  // namespace

void cut_level(const RecoveryTask& task, std::span<const float> whole, const LevelModel& level, std::span<float> params) {
  std::fill(params.begin(), params.end(), 0.0f);
  train::gather_units(task.layout, whole, level.selection, level.layout, params);
}

Result<Distances> measure_distances(const RecoveryTask& task, Distiller& distiller, std::span<const float> whole,
                                    const std::vector<LevelUpdate>* updates) {
  ProgressMeter meter(task.options.progress, "measure");
  const std::size_t rows = task.options.batch_rows;
  const bool held_out = task.dataset.n_valid_rows() > 0;
  const std::size_t available = held_out ? task.dataset.n_valid_rows() : task.dataset.n_train_rows();
  const std::size_t n_batches = (std::min(available, std::max<std::size_t>(1, task.options.valid_rows)) + rows - 1) / rows;
  ELMS_ASSIGN_OR_RETURN(auto params, Buffer<float>::uninitialized_streamed(largest_level(task)));
  Distances distances{std::vector<double>(task.levels.size(), 0.0), 0};
  train::TokenBatch batch;
  for (std::size_t b = 0; b < n_batches; ++b) {
    if (held_out) {
      task.dataset.valid_batch(b, rows, batch);
    } else {
      task.dataset.train_batch(b, rows, batch);
    }
    distiller.teach(task.layout, task.params, batch);
    for (std::size_t i = 0; i < task.levels.size(); ++i) {
      const LevelModel& level = task.levels[i];
      const std::span<float> part(params.data(), level.layout.size());
      cut_level(task, whole, level, part);
      if (updates != nullptr) {
        const std::vector<float> base(part.begin(), part.end());
        apply_update<float>(*task.pool, (*updates)[i].layout, base, (*updates)[i].values, part);
      }
      distances.kl[i] += static_cast<double>(distiller.n_counted()) * distiller.learn(level.layout, part, batch, 0.0, nullptr);
      const double in_batch = static_cast<double>(i + 1) / static_cast<double>(task.levels.size());
      ELMS_RETURN_IF_ERROR(meter.report((static_cast<double>(b) + in_batch) / static_cast<double>(n_batches)));
    }
    distances.n_tokens += distiller.n_counted();
  }
  for (double& kl : distances.kl) kl /= std::max(1.0, static_cast<double>(distances.n_tokens));
  return distances;
}

Result<RecoveredUpdates> recover_biases(const RecoveryTask& task) {
  const RecoveryOptions& options = task.options;
  const std::size_t rows = std::max<std::size_t>(1, options.bias_tokens / options.length);
  ELMS_ASSIGN_OR_RETURN(auto decoder, train::TrainDecoder<float>::create(task.layout.config(), {rows, options.length},
                                                                         train::ActivationMemory::kRecompute));
  train::TokenBatch batch;
  task.dataset.train_batch(0, rows, batch);
  LoraShape shape;
  shape.attention_bias = options.attention_bias;
  shape.ffn_bias = options.ffn_bias;
  const CompensationTargets targets{options.attention_bias, options.ffn_bias, options.bias_reference};
  ProgressMeter meter(options.progress, "recover");
  RecoveredUpdates recovered;
  for (const LevelModel& level : task.levels) {
    std::vector<float> params(level.layout.size());
    cut_level(task, task.params, level, params);
    const std::vector<float> before = params;
    compensate({*task.pool, decoder, task.layout, task.params, batch}, targets, level.layout, params);
    LevelUpdate update{LoraLayout(level.layout, shape), {}};
    update.values.resize(update.layout.size());
    for (const LoraBias& bias : update.layout.biases()) {
      for (std::size_t i = 0; i < bias.size; ++i) update.values[bias.delta + i] = params[bias.bias + i] - before[bias.bias + i];
    }
    recovered.updates.push_back(std::move(update));
    ELMS_RETURN_IF_ERROR(
        meter.report(static_cast<double>(recovered.updates.size()) / static_cast<double>(task.levels.size())));
  }
  return recovered;
}

Result<RecoveredUpdates> recover_lora(const RecoveryTask& task, Distiller& distiller) {
  constexpr double kDefaultRate = 2e-3;
  const RecoveryOptions& options = task.options;
  std::vector<Student> students;
  for (const LevelModel& level : task.levels) {
    LevelUpdate update{LoraLayout(level.layout, lora_shape(options)), {}};
    update.values.resize(update.layout.size());
    initialise_update(update.layout, mixed(options.seed + static_cast<std::uint64_t>(level.level)), update.values);
    ELMS_ASSIGN_OR_RETURN(auto adam, train::AdamW::create(update.layout.size(), {.weight_decay = 0.0}));
    std::vector<float> gradient(update.layout.size(), 0.0f);
    students.push_back({&level, std::move(update), std::move(adam), std::move(gradient)});
  }
  Workspace space;
  ELMS_ASSIGN_OR_RETURN(space.params, Buffer<float>::uninitialized_streamed(largest_level(task)));
  ELMS_ASSIGN_OR_RETURN(space.gradients, Buffer<float>::uninitialized_streamed(largest_level(task)));

  ProgressMeter meter(options.progress, "recover");
  train::TokenBatch batch;
  StepClock clock(options, kDefaultRate);
  for (; clock.share() < 1.0; clock.advance()) {
    ELMS_RETURN_IF_ERROR(meter.report(clock.share()));
    task.dataset.train_batch(clock.step(), options.batch_rows, batch);
    distiller.teach(task.layout, task.params, batch);
    for (Student& student : students) ELMS_RETURN_IF_ERROR(learn_step(task, distiller, batch, clock, space, student));
  }
  RecoveredUpdates recovered;
  for (Student& student : students) recovered.updates.push_back(std::move(student.update));
  recovered.n_steps = clock.step();
  return recovered;
}

Result<RecoveredWeights> recover_nested(const RecoveryTask& task, Distiller& distiller) {
  constexpr double kDefaultRate = 3e-4;
  const RecoveryOptions& options = task.options;
  RecoveredWeights recovered;
  ELMS_ASSIGN_OR_RETURN(recovered.params, Buffer<float>::uninitialized_streamed(task.params.size()));
  std::copy(task.params.begin(), task.params.end(), recovered.params.data());
  ELMS_ASSIGN_OR_RETURN(auto gradients, Buffer<float>::zeroed(task.params.size()));
  ELMS_ASSIGN_OR_RETURN(auto adam, train::AdamW::create(task.layout, {.weight_decay = 0.01}));
  Workspace space;
  ELMS_ASSIGN_OR_RETURN(space.params, Buffer<float>::uninitialized_streamed(largest_level(task)));
  ELMS_ASSIGN_OR_RETURN(space.gradients, Buffer<float>::uninitialized_streamed(largest_level(task)));

  ProgressMeter meter(options.progress, "recover");
  train::TokenBatch batch;
  StepClock clock(options, kDefaultRate);
  for (; clock.share() < 1.0; clock.advance()) {
    ELMS_RETURN_IF_ERROR(meter.report(clock.share()));
    task.dataset.train_batch(clock.step(), options.batch_rows, batch);
    double loss = distiller.teach(task.layout, recovered.params, batch, gradients.data());
    std::vector<std::size_t> chosen = draw_levels(task.levels.size(), options.random_levels, mixed(options.seed + clock.step()));
    chosen.push_back(0);
    for (const std::size_t i : chosen) {
      const LevelModel& level = task.levels[i];
      const std::span<float> part(space.params.data(), level.layout.size());
      const std::span<float> part_gradients(space.gradients.data(), level.layout.size());
      cut_level(task, recovered.params, level, part);
      std::fill(part_gradients.begin(), part_gradients.end(), 0.0f);
      loss += distiller.learn(level.layout, part, batch, options.cross_entropy_weight, part_gradients.data());
      train::scatter_add_units(level.layout, part_gradients, level.selection, task.layout, gradients);
    }
    ELMS_RETURN_IF_ERROR(check_loss(loss, clock.step()));
    optimise(*task.pool, adam, clock, options.clip_norm, gradients, recovered.params);
  }
  recovered.n_steps = clock.step();
  return recovered;
}

}  // namespace elms::inline v0::offline
