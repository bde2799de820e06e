// The decision branch, on which strategies answered right.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "offline/refiner/learner.hpp"

namespace elms::inline v0::offline::refiner {

struct LabelledPrompt {
  std::vector<TokenId> tokens;  ///< with [CLS] and [SEP]
  std::vector<float> right;     ///< [n_widths * n_keep]
};

struct DecisionData {
  std::vector<float> widths, keep_ratios;
  std::vector<LabelledPrompt> train, calibration, test;  ///< of every ten lines seven, one and two
  std::size_t n_too_long = 0;                            ///< longer than the position table: left out
};
/// Lines of label_strategies().
[[nodiscard]] Result<DecisionData> read_decision_data(const std::string& path, const RefinerModel& model);

/// Gives the model a new decision branch, its layers copies of the score branch's first.
[[nodiscard]] Result<RefinerModel> with_decision_branch(const RefinerTrainingOptions& options,
                                                        RefinerModel model, const DecisionData& data);

[[nodiscard]] Result<std::unique_ptr<train::Learner>> decision_learner(const RefinerTrainingOptions& options,
                                                                       RefinerModel& model,
                                                                       const DecisionData& data,
                                                                       std::shared_ptr<ThreadPool> pool);

/// Finds the temperature on the calibration prompts and judges on those of the test.
[[nodiscard]] Result<DecisionQuality> judge_decisions(const RefinerModel& model, const DecisionData& data,
                                                      ThreadPool& pool);

}  // namespace elms::inline v0::offline::refiner
