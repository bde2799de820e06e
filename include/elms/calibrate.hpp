// Timing a model on this device: what makes a DeviceProfile.
#pragma once

#include <memory>

#include "elms/calibration.hpp"
#include "elms/detail/calibrator.hpp"
#include "elms/elastic_model.hpp"
#include "elms/status.hpp"

namespace elms::inline v0 {

/// Times prefill and decode at a few levels, lengths and contexts, round by round, so that a slow moment of
/// the machine falls on all of them, and fits the laws. Levels, lengths and contexts between them are
/// interpolated by the laws. Takes memory for three sessions. kInvalidArgument, kCancelled, and what Session
/// fails with.
[[nodiscard]] inline Result<Calibration> calibrate(const std::shared_ptr<const ElasticModel>& model,
                                                   const CalibrationOptions& options = {}) {
  if (model == nullptr) return detail::invalid_argument("calibrate: the model is null");
  if (!(options.seconds > 0.0) || options.batch_tokens < 1 || options.max_tokens < 8) {
    return detail::invalid_argument("calibrate: ", options.seconds, " seconds, batches of ",
                                    options.batch_tokens, " and ", options.max_tokens, " tokens at most");
  }
  return detail::or_out_of_memory([&] { return detail::Calibrator(model, options).run(); });
}

}  // namespace elms::inline v0
