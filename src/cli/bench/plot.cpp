#include "cli/plot.hpp"

#include <algorithm>

#include "cli/bench/report.hpp"

namespace elms_cli {

elms::Status write_bench_plot(const BenchReport& report) {
  const double widest = report.level(report.widest()).cost_share;
  const auto series = [&](const std::string& label, auto&& y_of) {
    Series line{label, {}};
    for (const LevelTimes& times : report.levels)
      line.points.push_back({report.level(times).cost_share, y_of(times)});
    std::sort(line.points.begin(), line.points.end(),
              [](const Point& a, const Point& b) { return a.x < b.x; });
    return line;
  };
  const std::string name = report.options.model.substr(report.options.model.find_last_of("/\\") + 1);
  Plot plot{.title = "Time of " + name + " by width",
            .x_label = "cost: share of the full model's weight bytes read per token",
            .y_label = "time, as a share of the widest level's",
            .series = {},
            .legend_on_left = true};
  plot.series.push_back(series("ideal: time as cost", [&](const LevelTimes& times) {
    return report.level(times).cost_share / widest;
  }));
  plot.series.push_back(
      series("decode", [&](const LevelTimes& times) { return decode_figures(report, times).time_ratio; }));
  for (std::size_t i = 0; i < report.options.prefill_tokens.size(); ++i) {
    plot.series.push_back(
        series("prefill of " + std::to_string(report.options.prefill_tokens[i]),
               [&](const LevelTimes& times) { return prefill_figures(report, times, i).time_ratio; }));
  }
  return write_svg(plot, report.options.plot);
}

}  // namespace elms_cli
