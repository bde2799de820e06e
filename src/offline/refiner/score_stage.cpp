#include "offline/refiner/learner.hpp"
#include "offline/refiner/score_data.hpp"
#include "elms/detail/error.hpp"
namespace elms::inline v0::offline::refiner {
Result<ScoreData> read_score_data(const RefinerTrainingOptions&, const RefinerModel&) { return detail::unsupported("x"); }
Result<std::unique_ptr<train::Learner>> score_learner(const RefinerTrainingOptions&, RefinerModel&, const ScoreData&, std::shared_ptr<ThreadPool>) { return detail::unsupported("x"); }
Result<std::vector<KeepQuality>> measure_keeping(const RefinerModel&, const ScoreData&, ThreadPool&) { return detail::unsupported("x"); }
}
