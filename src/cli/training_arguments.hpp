// Options that all commands that train have, how they run, and what they say of the run.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "cli/arguments.hpp"
#include "cli/console.hpp"
#include "cli/training_report.hpp"
#include "elms/offline/training.hpp"

namespace elms_cli {

/// How long, how fast, from which seed; the values that the options have are shown as their defaults.
void add_course_options(CLI::App& command, elms::offline::TrainingOptions& options);
/// When to measure, and the file to go on from.
void add_checkpoint_options(CLI::App& command, elms::offline::TrainingOptions& options);

/// Throws CLI::ValidationError where these contradict each other.
void check_course(const elms::offline::TrainingOptions& options);

/// Calls train() with `options` set so that progress is shown and Ctrl-C stops the run.
template <typename Train>
auto train_watched(elms::offline::TrainingOptions& options, Train&& train) {
  const InterruptGuard interrupt;
  std::optional<ProgressBar> bar(std::in_place);
  TrainingLine line;
  options.progress = bar->callback(interrupt);
  options.on_step = [&](const elms::offline::TrainingProgress& progress) {
    bar.reset();  // of reading, which is over
    line.update(progress);
    return interrupt.token().cancelled() ? elms::Flow::kStop : elms::Flow::kContinue;
  };
  return train();
}

/// What every training reports, for commands to add to.
Json training_json(const elms::offline::TrainingReport& report, const std::string& output);
/// The same in a few lines.
void print_training(const elms::offline::TrainingReport& report, const std::string& output);

}  // namespace elms_cli
