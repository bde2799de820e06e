// The same recovery for the smaller models of every recipe.
#pragma once

#include <memory>
#include <vector>

#include "elms/offline/recovery.hpp"
#include "elms/tokenizer.hpp"
#include "offline/levels/memory_model.hpp"
#include "offline/recovery/distiller.hpp"

namespace elms::inline v0::offline {

/// Keeps a reference to the full model. One thread.
class RecoveryCourse {
 public:
  /// Reads the data. kInvalidArgument for options that cannot work, and any method but kLora; what
  /// Dataset::open fails with.
  [[nodiscard]] static Result<RecoveryCourse> open(const MemoryModel& full, const Tokenizer& tokenizer,
                                                   const RecoveryOptions& options,
                                                   const ProgressCallback& progress,
                                                   std::shared_ptr<ThreadPool> pool);

  /// Low-rank updates for all models, learnt on the same batches and added to their weights.
  Status teach(std::vector<MemoryModel>& models);

 private:
  RecoveryCourse(const MemoryModel& full, RecoveryOptions options, train::Dataset dataset,
                 Distiller distiller, std::shared_ptr<ThreadPool> pool)
      : full_(&full),
        options_(std::move(options)),
        dataset_(std::move(dataset)),
        distiller_(std::move(distiller)),
        pool_(std::move(pool)) {}

  const MemoryModel* full_;
  RecoveryOptions options_;
  train::Dataset dataset_;
  Distiller distiller_;
  std::shared_ptr<ThreadPool> pool_;
};

}  // namespace elms::inline v0::offline
