// How good a model in memory is, beside the full one.
#pragma once

#include <vector>

#include "elms/offline/compare.hpp"
#include "elms/offline/task_eval.hpp"
#include "offline/levels/memory_model.hpp"
#include "offline/levels/windows.hpp"

namespace elms::inline v0::offline {

/// Judges models that are as large as the full one or smaller. Keeps references to pool and the full model.
/// One thread.
class QualityMeter {
 public:
  struct Inputs {
    TokenWindows held_out;
    std::size_t kl_windows = 0;  ///< the first of them
    std::size_t n_prompts = 0;   ///< beginnings of evenly spread windows
    struct Task {
      std::string name;
      std::vector<TaskTokens> items;
      std::vector<std::size_t> answers;
    };
    std::vector<Task> tasks;
  };

  [[nodiscard]] static Result<QualityMeter> create(ThreadPool& pool, const MemoryModel& full, Inputs inputs);
  [[nodiscard]] Result<Quality> measure(const MemoryModel& model);

 private:
  QualityMeter(ThreadPool& pool, const MemoryModel& full, Inputs inputs)
      : pool_(&pool), full_(&full), inputs_(std::move(inputs)) {}

  Status measure_text(const MemoryModel& model, Quality& quality);
  Status measure_texts_of_its_own(const MemoryModel& model, Quality& quality);
  [[nodiscard]] Result<double> accuracy(const MemoryModel& model, const Inputs::Task& task);
  [[nodiscard]] Result<std::size_t> likeliest_choice(const MemoryModel& model, const TaskTokens& item);

  ThreadPool* pool_;
  const MemoryModel* full_;
  Inputs inputs_;
  std::vector<std::vector<float>> teacher_;  ///< logits of the batches that KL is measured on
};

}  // namespace elms::inline v0::offline
