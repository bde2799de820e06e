// What commands that train show: where the run is, its losses as JSON and as a plot.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "cli/console.hpp"
#include "elms/offline/training.hpp"
#include "elms/status.hpp"

namespace elms_cli {

/// Where the run is, on stderr: a line that is drawn over every second, or a new one every half minute.
class TrainingLine {
 public:
  TrainingLine() : is_terminal_(stderr_is_terminal()) {}
  ~TrainingLine() {
    if (is_terminal_ && drawn_) std::fputs("\n", stderr);
  }
  TrainingLine(const TrainingLine&) = delete;
  TrainingLine& operator=(const TrainingLine&) = delete;

  void update(const elms::offline::TrainingProgress& progress) {
    const Clock::time_point now = Clock::now();
    const auto pause = is_terminal_ ? std::chrono::seconds(1) : std::chrono::seconds(30);
    if (drawn_ && now - last_ < pause && progress.fraction < 1.0) return;
    last_ = now;
    drawn_ = true;
    const std::string valid =
        progress.valid_loss.has_value() ? "  valid " + fixed(*progress.valid_loss, 4) : std::string();
    std::fprintf(stderr, "%sstep %llu  loss %.4f%s  rate %.2e  %.0f tokens/s  %s left%s",
                 is_terminal_ ? "\r\x1b[K" : "", static_cast<unsigned long long>(progress.step),
                 progress.loss, valid.c_str(), progress.learning_rate, progress.tokens_per_second,
                 readable_seconds(std::max(progress.seconds_left, 0.0)).c_str(), is_terminal_ ? "" : "\n");
    std::fflush(stderr);
  }

 private:
  using Clock = std::chrono::steady_clock;
  bool is_terminal_;
  bool drawn_ = false;
  Clock::time_point last_;
};

/// Means of neighbouring points, so that there are at most max_points.
std::vector<elms::offline::LossPoint> thinned(const std::vector<elms::offline::LossPoint>& points,
                                              std::size_t max_points);
Json points_json(const std::vector<elms::offline::LossPoint>& points);
elms::Status write_loss_plot(const elms::offline::TrainingReport& report, const std::string& path);
/// Of the last steps.
double final_loss(const elms::offline::TrainingReport& report);

}  // namespace elms_cli
