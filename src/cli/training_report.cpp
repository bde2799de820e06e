#include "cli/training_report.hpp"

#include <utility>

#include "cli/plot.hpp"

namespace elms_cli {

namespace offline = elms::offline;

std::vector<offline::LossPoint> thinned(const std::vector<offline::LossPoint>& points,
                                        std::size_t max_points) {
  const std::size_t group = std::max<std::size_t>(1, (points.size() + max_points - 1) / max_points);
  std::vector<offline::LossPoint> out;
  for (std::size_t begin = 0; begin < points.size(); begin += group) {
    const std::size_t end = std::min(points.size(), begin + group);
    double sum = 0.0;
    for (std::size_t i = begin; i < end; ++i) sum += points[i].loss;
    out.push_back({points[(begin + end - 1) / 2].step, sum / static_cast<double>(end - begin)});
  }
  return out;
}

Json points_json(const std::vector<offline::LossPoint>& points) {
  Json list = Json::array();
  for (const offline::LossPoint& point : points) list.push_back({{"step", point.step}, {"loss", point.loss}});
  return list;
}

elms::Status write_loss_plot(const offline::TrainingReport& report, const std::string& path) {
  constexpr std::size_t kPoints = 200;
  Plot plot{
      .title = "Loss by training step", .x_label = "step", .y_label = "loss, nats a token", .series = {}};
  const auto add = [&](const std::string& label, const std::vector<offline::LossPoint>& points) {
    Series series{label, {}};
    for (const offline::LossPoint& point : points)
      series.points.push_back({static_cast<double>(point.step), point.loss});
    if (!series.points.empty()) plot.series.push_back(std::move(series));
  };
  add("training", thinned(report.train, kPoints));
  add("validation", report.valid);
  return write_svg(plot, path);
}

double final_loss(const offline::TrainingReport& report) {
  constexpr std::size_t kSteps = 50;
  const std::size_t n = std::min(kSteps, report.train.size());
  double sum = 0.0;
  for (std::size_t i = report.train.size() - n; i < report.train.size(); ++i) sum += report.train[i].loss;
  return n == 0 ? 0.0 : sum / static_cast<double>(n);
}

}  // namespace elms_cli
