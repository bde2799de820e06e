#include "cli/plot.hpp"

#include <limits>

#include "support.hpp"

using elms_cli::Plot;
using elms_cli::render_svg;
using Catch::Contains;

namespace {

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t n = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size())) ++n;
  return n;
}

}  // namespace

TEST_CASE("plot: axes, labels and points are drawn, for light and dark pages", "[cli]") {
  const Plot plot{"A & B", "share <of> cost", "loss", {{"", {{0.2, 8.0}, {0.6, 4.0}, {1.0, 3.0}}}}};
  const std::string svg = render_svg(plot);
  CHECK_THAT(svg, Contains("A &amp; B"));
  CHECK_THAT(svg, Contains("share &lt;of&gt; cost"));
  CHECK_THAT(svg, Contains("prefers-color-scheme: dark"));
  CHECK(count(svg, "<circle ") == 3);
  CHECK(count(svg, "<path ") == 1);
  CHECK(count(svg, "class=\"grid\"") >= 6);
  CHECK_THAT(svg, Contains(">0.4</text>"));  // ticks are round numbers
  CHECK_THAT(svg, Catch::EndsWith("</svg>\n"));
}

TEST_CASE("plot: the legend stands where it is asked to", "[cli]") {
  Plot plot{"t", "x", "y", {{"rising", {{0.0, 0.0}, {1.0, 1.0}}}}};
  CHECK(count(render_svg(plot), "text-anchor=\"start\"") == 0);
  plot.legend_on_left = true;
  CHECK(count(render_svg(plot), "text-anchor=\"start\"") == 1);
}

TEST_CASE("plot: a wide range of values gets a logarithmic axis", "[cli]") {
  const Plot plot{"t", "x", "y", {{"", {{0.0, 1.5}, {1.0, 7000.0}}}}};
  const std::string svg = render_svg(plot);
  CHECK_THAT(svg, Contains(">10</text>"));
  CHECK_THAT(svg, Contains(">100</text>"));
  CHECK_THAT(svg, Contains(">1000</text>"));
}

TEST_CASE("plot: no point, one point and points that are no numbers are drawn without harm", "[cli]") {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  for (const std::vector<elms_cli::Point>& points :
       {std::vector<elms_cli::Point>{}, {{1.0, 2.0}}, {{0.0, 0.0}}, {{kNan, 1.0}, {1.0, kInfinity}, {1.0, 2.0}}}) {
    const std::string svg = render_svg({"t", "x", "y", {{"", points}}});
    CHECK(count(svg, "<circle ") == (points.empty() ? 0u : 1u));
    CHECK(svg.find("nan") == std::string::npos);
    CHECK(svg.find("inf") == std::string::npos);
    CHECK(count(svg, "class=\"grid\"") >= 2);
    CHECK(svg.size() < 20000);
  }
}

TEST_CASE("plot: a file that cannot be written is an error", "[cli]") {
  const std::string path = elms_test::scratch_path("nowhere") + "/at/all.svg";
  CHECK(elms_cli::write_svg({"t", "x", "y", {}}, path).code() == elms::StatusCode::kIoError);
}
