#include "cli/importance_report.hpp"

#include <algorithm>
#include <cstdio>
#include <functional>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "elms/detail/error.hpp"

namespace elms_cli {
namespace {

using elms::ModelConfig;
using elms::detail::ElasticMetadata;

constexpr double kMost = 0.9;

struct LayerScores {
  std::span<const float> heads, ffn_units;
};

std::vector<LayerScores> scores_by_layer(const ModelConfig& config, const ElasticMetadata& elastic) {
  std::vector<LayerScores> layers;
  std::size_t head = 0, unit = 0;
  for (const elms::LayerShape& shape : config.layers) {
    const auto n_heads = static_cast<std::size_t>(shape.q_heads),
               n_units = static_cast<std::size_t>(shape.ff);
    layers.push_back({std::span(elastic.head_importance).subspan(head, n_heads),
                      std::span(elastic.ffn_importance).subspan(unit, n_units)});
    head += n_heads;
    unit += n_units;
  }
  return layers;
}

/// The smallest share of units that together hold kMost of all importance.
double share_that_holds_most(std::span<const float> scores) {
  std::vector<float> sorted(scores.begin(), scores.end());
  std::sort(sorted.begin(), sorted.end(), std::greater<>());
  const double wanted = kMost * std::accumulate(sorted.begin(), sorted.end(), 0.0);
  double sum = 0.0;
  std::size_t n = 0;
  for (; n < sorted.size() && sum < wanted; ++n) sum += static_cast<double>(sorted[n]);
  return sorted.empty() ? 0.0 : static_cast<double>(n) / static_cast<double>(sorted.size());
}

std::string scientific(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2e", value);
  return text;
}

void add_cells(std::span<const float> scores, std::vector<std::string>& row) {
  const auto [least, most] = std::minmax_element(scores.begin(), scores.end());
  const double mean = std::accumulate(scores.begin(), scores.end(), 0.0) / static_cast<double>(scores.size());
  row.insert(row.end(),
             {scientific(static_cast<double>(*least)), scientific(mean),
              scientific(static_cast<double>(*most)), fixed(100.0 * share_that_holds_most(scores), 0) + "%"});
}

}  // namespace

elms::Status check_importance(const ModelConfig& config, const ElasticMetadata& elastic) {
  std::size_t n_heads = 0, n_units = 0;
  for (const elms::LayerShape& shape : config.layers) {
    n_heads += static_cast<std::size_t>(shape.q_heads);
    n_units += static_cast<std::size_t>(shape.ff);
  }
  if (elastic.head_importance.size() == n_heads && elastic.ffn_importance.size() == n_units) return {};
  return elms::detail::error(elms::StatusCode::kNotFound, "the file keeps no importance of its units");
}

Json importance_json(const ModelConfig& config, const ElasticMetadata& elastic) {
  Json layers = Json::array();
  for (const LayerScores& layer : scores_by_layer(config, elastic)) {
    layers.push_back({{"heads", std::vector<float>(layer.heads.begin(), layer.heads.end())},
                      {"ffn_units", std::vector<float>(layer.ffn_units.begin(), layer.ffn_units.end())}});
  }
  return {{"method", elastic.importance_method}, {"layers", std::move(layers)}};
}

void print_importance(const ModelConfig& config, const ElasticMetadata& elastic) {
  std::printf("\nimportance by %s; 90%%: of a layer's units, those that hold 90%% of its importance\n\n",
              elastic.importance_method.c_str());
  Table table({"layer", "heads: least", "mean", "most", "90%", "FFN units: least", "mean", "most", "90%"});
  std::size_t number = 0;
  for (const LayerScores& layer : scores_by_layer(config, elastic)) {
    std::vector<std::string> row = {std::to_string(number++)};
    add_cells(layer.heads, row);
    add_cells(layer.ffn_units, row);
    table.add(std::move(row));
  }
  table.print();
}

Plot importance_plot(const ModelConfig& config, const ElasticMetadata& elastic, const std::string& model) {
  Plot plot;
  plot.title = "Units that hold 90% of the importance in " + model;
  plot.x_label = "layer";
  plot.y_label = "share of the layer's units";
  plot.series = {{"heads", {}}, {"FFN units", {}}};
  double number = 0.0;
  for (const LayerScores& layer : scores_by_layer(config, elastic)) {
    plot.series[0].points.push_back({number, share_that_holds_most(layer.heads)});
    plot.series[1].points.push_back({number, share_that_holds_most(layer.ffn_units)});
    number += 1.0;
  }
  return plot;
}

}  // namespace elms_cli
