// The rows that recovery learns from, and whether its options make sense.
#pragma once

#include <memory>

#include "elms/offline/recovery.hpp"
#include "elms/tokenizer.hpp"
#include "offline/train/dataset.hpp"

namespace elms::inline v0::offline {

/// kInvalidArgument for options that cannot work.
Status check_recovery_options(const RecoveryOptions& options);

/// options.data as rows. What Dataset::open fails with.
[[nodiscard]] Result<train::Dataset> open_recovery_data(const RecoveryOptions& options,
                                                        const Tokenizer& tokenizer,
                                                        std::shared_ptr<ThreadPool> pool);

}  // namespace elms::inline v0::offline
