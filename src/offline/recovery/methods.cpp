#include "offline/recovery/methods.hpp"

#include <algorithm>
#include <numeric>
#include <optional>

#include "elms/detail/error.hpp"
#include "offline/progress_meter.hpp"
#include "offline/random.hpp"
#include "offline/recovery/compensation.hpp"
#include "offline/recovery/steps.hpp"

namespace elms::inline v0::offline {
namespace {

using detail::Buffer;

std::size_t largest_level(const RecoveryTask& task) {
  std::size_t size = 0;
  for (const LevelModel& level : task.levels) size = std::max(size, level.layout.size());
  return size;
}

/// Arrays of a level's parameters that levels take turns with.
struct LevelArrays {
  Buffer<float> params, gradients;
};

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

void cut_level(const RecoveryTask& task, std::span<const float> whole, const LevelModel& level,
               std::span<float> params) {
  std::fill(params.begin(), params.end(), 0.0f);
  train::gather_units(task.layout, whole, level.selection, level.layout, params);
}

Result<Distances> measure_distances(const RecoveryTask& task, Distiller& distiller,
                                    std::span<const float> whole, const std::vector<LevelUpdate>* updates) {
  ProgressMeter meter(task.options.progress, "measure");
  const std::size_t rows = task.options.batch_rows;
  const bool held_out = task.dataset.n_valid_rows() > 0;
  const std::size_t available = held_out ? task.dataset.n_valid_rows() : task.dataset.n_train_rows();
  const std::size_t n_batches =
      (std::min(available, std::max<std::size_t>(1, task.options.valid_rows)) + rows - 1) / rows;
  ELMS_ASSIGN_OR_RETURN(auto params, Buffer<float>::uninitialized_streamed(largest_level(task)));
  Distances distances{std::vector<StudentLoss>(task.levels.size()), 0, 0};
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
      const StudentLoss loss = distiller.measure(level.layout, part, batch);
      distances.levels[i].kl += static_cast<double>(distiller.n_counted()) * loss.kl;
      distances.levels[i].cross_entropy += static_cast<double>(distiller.n_targets()) * loss.cross_entropy;
      const double in_batch = static_cast<double>(i + 1) / static_cast<double>(task.levels.size());
      ELMS_RETURN_IF_ERROR(
          meter.report((static_cast<double>(b) + in_batch) / static_cast<double>(n_batches)));
    }
    distances.n_tokens += distiller.n_counted();
    distances.n_targets += distiller.n_targets();
  }
  for (StudentLoss& loss : distances.levels) {
    loss.kl /= std::max(1.0, static_cast<double>(distances.n_tokens));
    loss.cross_entropy /= std::max(1.0, static_cast<double>(distances.n_targets));
  }
  return distances;
}

Result<RecoveredUpdates> recover_biases(const RecoveryTask& task) {
  const RecoveryOptions& options = task.options;
  const std::size_t rows = std::max<std::size_t>(1, options.bias_tokens / options.length);
  ELMS_ASSIGN_OR_RETURN(auto decoder,
                        train::TrainDecoder<float>::create(task.layout.config(), {rows, options.length},
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
      for (std::size_t i = 0; i < bias.size; ++i)
        update.values[bias.delta + i] = params[bias.bias + i] - before[bias.bias + i];
    }
    recovered.updates.push_back(std::move(update));
    ELMS_RETURN_IF_ERROR(meter.report(static_cast<double>(recovered.updates.size()) /
                                      static_cast<double>(task.levels.size())));
  }
  return recovered;
}

Result<RecoveredUpdates> recover_lora(const RecoveryTask& task, Distiller& distiller) {
  std::vector<LoraPupil> pupils;
  for (const LevelModel& level : task.levels) {
    pupils.push_back({&level.layout,
                      [&](std::span<float> params) { cut_level(task, task.params, level, params); },
                      mixed(task.options.seed + static_cast<std::uint64_t>(level.level))});
  }
  return distil_updates({task.options, task.layout, task.params, task.dataset, task.pool}, pupils, distiller);
}

Result<RecoveredWeights> recover_nested(const RecoveryTask& task, Distiller& distiller) {
  constexpr double kDefaultRate = 3e-4;
  const RecoveryOptions& options = task.options;
  RecoveredWeights recovered;
  ELMS_ASSIGN_OR_RETURN(recovered.params, Buffer<float>::uninitialized_streamed(task.params.size()));
  std::copy(task.params.begin(), task.params.end(), recovered.params.data());
  ELMS_ASSIGN_OR_RETURN(auto gradients, Buffer<float>::zeroed(task.params.size()));
  ELMS_ASSIGN_OR_RETURN(auto adam, train::AdamW::create(task.layout, {.weight_decay = 0.01}));
  LevelArrays space;
  ELMS_ASSIGN_OR_RETURN(space.params, Buffer<float>::uninitialized_streamed(largest_level(task)));
  ELMS_ASSIGN_OR_RETURN(space.gradients, Buffer<float>::uninitialized_streamed(largest_level(task)));

  ProgressMeter meter(options.progress, "recover");
  train::TokenBatch batch;
  StepClock clock(options, kDefaultRate);
  std::vector<train::RunTensor> tensors;
  train::add_tensors("param.", task.layout, recovered.params, tensors);
  train::add_tensors("adam.m.", task.layout, adam.mean(), tensors);
  train::add_tensors("adam.v.", task.layout, adam.variance(), tensors);
  train::Recipe recipe = recovery_recipe(options);
  recipe.push_back(detail::concat("levels ", task.levels.size(), ", at random ", options.random_levels));
  ELMS_RETURN_IF_ERROR(clock.begin(std::move(recipe), std::move(tensors)));
  while (clock.share() < 1.0) {
    ELMS_RETURN_IF_ERROR(clock.report(meter));
    task.dataset.train_batch(clock.step(), options.batch_rows, batch);
    double loss = distiller.teach(task.layout, recovered.params, batch, gradients.data());
    std::vector<std::size_t> chosen =
        draw_levels(task.levels.size(), options.random_levels, mixed(options.seed + clock.step()));
    chosen.push_back(0);
    for (const std::size_t i : chosen) {
      const LevelModel& level = task.levels[i];
      const std::span<float> part(space.params.data(), level.layout.size());
      const std::span<float> part_gradients(space.gradients.data(), level.layout.size());
      cut_level(task, recovered.params, level, part);
      std::fill(part_gradients.begin(), part_gradients.end(), 0.0f);
      loss +=
          distiller.learn(level.layout, part, batch, options.cross_entropy_weight, part_gradients.data()).kl;
      train::scatter_add_units(level.layout, part_gradients, level.selection, task.layout, gradients);
    }
    optimise(*task.pool, adam, clock, options.clip_norm, gradients, recovered.params);
    ELMS_RETURN_IF_ERROR(clock.advance(loss));
  }
  recovered.n_steps = clock.step();
  return recovered;
}

}  // namespace elms::inline v0::offline
