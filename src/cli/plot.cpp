#include "cli/plot.hpp"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>

#include "elms/detail/error.hpp"

namespace elms_cli {
namespace {

using elms::detail::concat;

constexpr double kWidth = 720, kHeight = 440;
constexpr double kLeft = 76, kRight = 24, kTop = 48, kBottom = 64;

// Colours that can be told apart by people with any colour vision, on white and on black (Okabe and Ito).
constexpr const char* kColours[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                    "#e69f00", "#56b4e9", "#8a6d3b"};

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string coordinate(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", value);
  return text;
}

/// One axis: maps values to pixels and knows its ticks.
class Axis {
 public:
  Axis(double low, double high, double first_pixel, double last_pixel, bool logarithmic)
      : logarithmic_(logarithmic), first_pixel_(first_pixel), last_pixel_(last_pixel) {
    low_ = scaled(low);
    high_ = scaled(high);
    const double span = high_ - low_;
    const double margin = span > 0.0 ? 0.05 * span : std::max(0.5 * std::fabs(low_), 0.1);
    low_ -= margin;
    high_ += margin;
  }

  [[nodiscard]] double pixel(double value) const {
    return first_pixel_ + (scaled(value) - low_) / (high_ - low_) * (last_pixel_ - first_pixel_);
  }

  /// Round numbers inside the range, about six.
  [[nodiscard]] std::vector<double> ticks() const {
    return logarithmic_ ? logarithmic_ticks() : linear_ticks();
  }

 private:
  [[nodiscard]] double scaled(double value) const { return logarithmic_ ? std::log10(value) : value; }

  [[nodiscard]] std::vector<double> linear_ticks() const {
    const double rough = (high_ - low_) / 6.0;
    const double power = std::pow(10.0, std::floor(std::log10(rough)));
    double step = 10.0 * power;
    for (const double factor : {5.0, 2.0, 1.0}) {
      if (factor * power >= rough) step = factor * power;
    }
    std::vector<double> ticks;
    for (double tick = std::ceil(low_ / step); tick * step <= high_; ++tick) ticks.push_back(tick * step);
    return ticks;
  }

  /// 1, 2 and 5 times powers of ten; powers alone where the range holds many.
  [[nodiscard]] std::vector<double> logarithmic_ticks() const {
    const bool powers_only = high_ - low_ > 3.0;
    std::vector<double> ticks;
    for (double power = std::floor(low_); power <= high_; ++power) {
      for (const double factor : {1.0, 2.0, 5.0}) {
        const double tick = factor * std::pow(10.0, power);
        const double at = std::log10(tick);
        if (at >= low_ && at <= high_ && (factor == 1.0 || !powers_only)) ticks.push_back(tick);
      }
    }
    return ticks;
  }

  bool logarithmic_;
  double first_pixel_, last_pixel_;
  double low_ = 0.0, high_ = 1.0;
};

struct Range {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();

  void include(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
};

bool finite(const Point& point) {
  return std::isfinite(point.x) && std::isfinite(point.y);
}

std::string text_at(double x, double y, const char* attributes, const std::string& text) {
  return concat("<text x=\"", coordinate(x), "\" y=\"", coordinate(y), "\" ", attributes, ">", escaped(text),
                "</text>\n");
}

std::string line(double x1, double y1, double x2, double y2, const char* style) {
  return concat("<line x1=\"", coordinate(x1), "\" y1=\"", coordinate(y1), "\" x2=\"", coordinate(x2),
                "\" y2=\"", coordinate(y2), "\" class=\"", style, "\"/>\n");
}

std::string draw_axes(const Plot& plot, const Axis& x, const Axis& y) {
  const double bottom = kHeight - kBottom, right = kWidth - kRight;
  std::string out;
  for (const double tick : y.ticks()) {
    out += line(kLeft, y.pixel(tick), right, y.pixel(tick), "grid");
    out += text_at(kLeft - 8, y.pixel(tick) + 4, "text-anchor=\"end\"", concat(tick));
  }
  for (const double tick : x.ticks()) {
    out += line(x.pixel(tick), kTop, x.pixel(tick), bottom, "grid");
    out += text_at(x.pixel(tick), bottom + 20, "text-anchor=\"middle\"", concat(tick));
  }
  out += line(kLeft, bottom, right, bottom, "axis") + line(kLeft, kTop, kLeft, bottom, "axis");
  out += text_at((kLeft + right) / 2, kHeight - 18, "text-anchor=\"middle\"", plot.x_label);
  const std::string turned =
      concat("text-anchor=\"middle\" transform=\"rotate(-90 20 ", coordinate((kTop + bottom) / 2), ")\"");
  out += text_at(20, (kTop + bottom) / 2, turned.c_str(), plot.y_label);
  out += text_at(kLeft, 28, "class=\"title\"", plot.title);
  return out;
}

std::string draw_series(const Series& series, const char* colour, const Axis& x, const Axis& y) {
  std::string path, dots;
  for (const Point& point : series.points) {
    if (!finite(point)) continue;
    const std::string at_x = coordinate(x.pixel(point.x)), at_y = coordinate(y.pixel(point.y));
    path += concat(path.empty() ? "M" : "L", at_x, " ", at_y);
    dots += concat("<circle cx=\"", at_x, "\" cy=\"", at_y, "\" r=\"4\" fill=\"", colour, "\"><title>",
                   point.x, ", ", point.y, "</title></circle>\n");
  }
  return concat("<path d=\"", path, "\" fill=\"none\" stroke=\"", colour, "\" stroke-width=\"2\"/>\n", dots);
}

constexpr const char* kStyle =
    "<style>\n"
    "  text { font: 13px sans-serif; fill: #222 } .title { font-size: 16px; font-weight: bold }\n"
    "  .page { fill: #fff } .grid { stroke: #ddd } .axis { stroke: #222 }\n"
    "  @media (prefers-color-scheme: dark) {\n"
    "    text { fill: #ddd } .page { fill: #16181c } .grid { stroke: #33373d } .axis { stroke: #ddd }\n"
    "  }\n"
    "</style>\n";

}  // namespace

std::string render_svg(const Plot& plot) {
  Range xs, ys;
  for (const Series& series : plot.series) {
    for (const Point& point : series.points) {
      if (!finite(point)) continue;
      xs.include(point.x);
      ys.include(point.y);
    }
  }
  if (!(xs.low <= xs.high)) xs = ys = {0.0, 1.0};
  const Axis x(xs.low, xs.high, kLeft, kWidth - kRight, false);
  const Axis y(ys.low, ys.high, kHeight - kBottom, kTop, ys.low > 0.0 && ys.high > 10.0 * ys.low);

  std::string out =
      concat("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 ", kWidth, " ", kHeight, "\" width=\"",
             kWidth, "\" height=\"", kHeight, "\" role=\"img\">\n<title>", escaped(plot.title), "</title>\n");
  out += kStyle;
  out += "<rect class=\"page\" width=\"100%\" height=\"100%\"/>\n";
  out += draw_axes(plot, x, y);
  double legend_y = kTop + 16;
  for (std::size_t i = 0; i < plot.series.size(); ++i) {
    const char* colour = kColours[i % std::size(kColours)];
    out += draw_series(plot.series[i], colour, x, y);
    if (plot.series[i].label.empty()) continue;
    const char* anchor = plot.legend_on_left ? "start" : "end";
    const std::string style = concat("text-anchor=\"", anchor, "\" style=\"fill:", colour, "\"");
    out += text_at(plot.legend_on_left ? kLeft + 8 : kWidth - kRight - 8, legend_y, style.c_str(),
                   plot.series[i].label);
    legend_y += 18;
  }
  return out + "</svg>\n";
}

elms::Status write_svg(const Plot& plot, const std::string& path) {
  const std::string text = render_svg(plot);
  std::FILE* file = std::fopen(path.c_str(), "wb");
  if (file == nullptr)
    return elms::detail::error(elms::StatusCode::kIoError, path, ": ", std::strerror(errno));
  const bool written = std::fwrite(text.data(), 1, text.size(), file) == text.size();
  const bool closed = std::fclose(file) == 0;
  if (written && closed) return {};
  return elms::detail::error(elms::StatusCode::kIoError, path, ": ", std::strerror(errno));
}

}  // namespace elms_cli
