#include "offline/compare/recovery_course.hpp"

#include <algorithm>
#include <span>
#include <utility>

#include "elms/detail/error.hpp"
#include "offline/recovery/lora_distillation.hpp"
#include "offline/recovery/recovery_data.hpp"

namespace elms::inline v0::offline {

Result<RecoveryCourse> RecoveryCourse::open(const MemoryModel& full, const Tokenizer& tokenizer,
                                            const RecoveryOptions& options, const ProgressCallback& progress,
                                            std::shared_ptr<ThreadPool> pool) {
  if (options.method != RecoveryMethod::kLora || options.train_biases) {
    return detail::invalid_argument("compare: recovery by ", to_string(options.method),
                                    options.train_biases ? " with biases" : "",
                                    "; only low-rank updates suit every recipe");
  }
  ELMS_RETURN_IF_ERROR(check_recovery_options(options));
  RecoveryOptions own = options;
  own.progress = progress;
  ELMS_ASSIGN_OR_RETURN(train::Dataset dataset, open_recovery_data(own, tokenizer, pool));
  ELMS_ASSIGN_OR_RETURN(Distiller distiller,
                        Distiller::create(full.config(), {own.batch_rows, own.length}, pool, own.balance));
  return RecoveryCourse(full, std::move(own), std::move(dataset), std::move(distiller), std::move(pool));
}

Status RecoveryCourse::teach(std::vector<MemoryModel>& models) {
  std::vector<LoraPupil> pupils;
  for (const MemoryModel& model : models) {
    pupils.push_back(
        {&model.layout,
         [&](std::span<float> params) { std::copy_n(model.params.data(), params.size(), params.data()); },
         options_.seed});
  }
  ELMS_ASSIGN_OR_RETURN(
      const RecoveredUpdates recovered,
      distil_updates({options_, full_->layout, full_->params, dataset_, pool_}, pupils, distiller_));
  for (std::size_t i = 0; i < models.size(); ++i) {
    MemoryModel& model = models[i];
    const std::vector<float> base(model.params.data(), model.params.data() + model.params.size());
    apply_update<float>(*pool_, recovered.updates[i].layout, base, recovered.updates[i].values, model.params);
  }
  return {};
}

}  // namespace elms::inline v0::offline
