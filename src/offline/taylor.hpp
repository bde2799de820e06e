// Taylor importance of a model in memory; the public functions are in elms/offline/importance.hpp.
#pragma once

#include "elms/offline/importance.hpp"
#include "offline/levels/memory_model.hpp"
#include "offline/levels/windows.hpp"

namespace elms::inline v0::offline {

/// `method` is kTaylor or kTaylorWeights. At least one window. kCancelled, kOutOfMemory.
[[nodiscard]] Result<Importance> taylor_scores(ThreadPool& pool, const MemoryModel& model,
                                               const TokenWindows& windows, ImportanceMethod method,
                                               const ProgressCallback& progress = {});

}  // namespace elms::inline v0::offline
