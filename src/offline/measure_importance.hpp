// Importance by any method.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "elms/detail/model_source.hpp"
#include "elms/offline/importance.hpp"

namespace elms::inline v0::offline {

/// What the scores are measured on.
struct ImportanceInputs {
  const std::string& path;
  const detail::ModelSource& source;  ///< of that path
  std::span<const TokenId> tokens;    ///< calibration; kMagnitude needs none
  const CalibrationOptions& calibration;
  std::shared_ptr<ThreadPool> pool;
  const ProgressCallback& progress;
};

/// What magnitude_importance, flap_importance and taylor_importance fail with.
[[nodiscard]] Result<Importance> measure_importance(const ImportanceInputs& inputs, ImportanceMethod method);

}  // namespace elms::inline v0::offline
