#include "offline/measure_importance.hpp"

#include <utility>

namespace elms::inline v0::offline {

Result<Importance> measure_importance(const ImportanceInputs& inputs, ImportanceMethod method) {
  switch (method) {
    case ImportanceMethod::kMagnitude:
      return magnitude_importance(inputs.source, inputs.progress);
    case ImportanceMethod::kTaylor:
    case ImportanceMethod::kTaylorWeights:
      return taylor_importance(inputs.source, inputs.tokens, method, *inputs.pool, inputs.calibration,
                               inputs.progress);
    case ImportanceMethod::kFlap:
      break;
  }
  OpenOptions options;
  options.pool = inputs.pool;
  ELMS_ASSIGN_OR_RETURN(const std::shared_ptr<const ElasticModel> model,
                        ElasticModel::open(inputs.path, options));
  return flap_importance(model, inputs.tokens, inputs.calibration, inputs.progress);
}

}  // namespace elms::inline v0::offline
