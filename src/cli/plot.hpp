// A line plot as an SVG file that reads well on light and dark pages.
#pragma once

#include <string>
#include <vector>

#include "elms/status.hpp"

namespace elms_cli {

struct Point {
  double x = 0.0, y = 0.0;
};

struct Series {
  std::string label;  ///< may be empty where there is one series
  std::vector<Point> points;
};

struct Plot {
  std::string title, x_label, y_label;
  std::vector<Series> series;  ///< at most 7; points that are not finite are left out
  bool legend_on_left = false;
};

/// The y axis is logarithmic where values are positive and span more than a factor of ten.
std::string render_svg(const Plot& plot);

/// kIoError.
elms::Status write_svg(const Plot& plot, const std::string& path);

}  // namespace elms_cli
