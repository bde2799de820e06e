#include "cli/compare_report.hpp"

#include <functional>

#include "cli/html_page.hpp"

namespace elms_cli {
namespace {

using elms::offline::CompareResult;

std::vector<std::string> header_of(const CompareResults& results) {
  std::vector<std::string> header = {"recipe",     "recovery", "target",   "cost",
                                     "perplexity", "KL",       "repeated", "NLL by full"};
  for (const auto& [task, value] : results.front().quality.accuracy) header.push_back(task);
  return header;
}

std::vector<std::string> row_of(const CompareResult& result) {
  const auto& q = result.quality;
  std::vector<std::string> row = {result.recipe,
                                  result.recovery,
                                  fixed(result.target, 2),
                                  fixed(result.cost_share, 3),
                                  fixed(q.perplexity, q.perplexity < 1000 ? 2 : 0),
                                  fixed(q.divergence, 3),
                                  fixed(q.repeated_4grams, 2),
                                  fixed(q.nll_under_full, 2)};
  for (const auto& [task, value] : q.accuracy) row.push_back(fixed(value, 3));
  return row;
}

/// One line for each recipe, ending at the full model.
std::vector<Series> series_of(const CompareResults& results,
                              const std::function<double(const CompareResult&)>& value) {
  std::vector<Series> series;
  for (const CompareResult& result : results) {
    if (result.recipe == "full") continue;
    const std::string label =
        result.recovery == "none" ? result.recipe : result.recipe + " + " + result.recovery;
    if (series.empty() || series.back().label != label) series.push_back({label, {}});
    series.back().points.push_back({result.cost_share, value(result)});
  }
  for (Series& line : series) line.points.push_back({1.0, value(results.front())});
  return series;
}

}  // namespace

Json compare_json(const CompareResults& results) {
  Json list = Json::array();
  for (const CompareResult& result : results) {
    Json accuracy = Json::object();
    for (const auto& [task, value] : result.quality.accuracy) accuracy[task] = value;
    list.push_back({{"recipe", result.recipe},
                    {"recovery", result.recovery},
                    {"target", result.target},
                    {"cost_share", result.cost_share},
                    {"ppl", result.quality.perplexity},
                    {"kl", result.quality.divergence},
                    {"repeated_4grams", result.quality.repeated_4grams},
                    {"nll_under_full", result.quality.nll_under_full},
                    {"accuracy", std::move(accuracy)}});
  }
  return list;
}

void print_compare(const CompareResults& results) {
  Table table(header_of(results));
  for (const CompareResult& result : results) table.add(row_of(result));
  table.print();
}

Plot perplexity_plot(const CompareResults& results, const std::string& model) {
  Plot plot;
  plot.title = "Perplexity of " + model + " by recipe";
  plot.x_label = "cost: share of the full model's weight bytes read per token";
  plot.y_label = "perplexity (lower is better)";
  plot.series = series_of(results, [](const CompareResult& r) { return r.quality.perplexity; });
  return plot;
}

elms::Status write_compare_html(const CompareResults& results, const std::string& model,
                                const std::string& path) {
  HtmlPage page(model, "Recipes at equal cost: " + model);
  page.add_plot(perplexity_plot(results, model));
  for (const auto& [task, unused] : results.front().quality.accuracy) {
    Plot plot;
    plot.title = "Accuracy on " + task + " by recipe";
    plot.x_label = "cost";
    plot.y_label = "accuracy (higher is better)";
    plot.series =
        series_of(results, [&task = task](const CompareResult& r) { return r.quality.accuracy.at(task); });
    page.add_plot(plot);
  }
  std::vector<std::vector<std::string>> rows;
  for (const CompareResult& result : results) rows.push_back(row_of(result));
  page.add_table(header_of(results), rows);
  page.add_text(
      "KL: mean divergence from the full model's next token, in nats. Repeated: share of 4-grams of greedy "
      "texts that occurred before in the same text. NLL by full: mean negative log likelihood of these texts "
      "under the full model.");
  return page.write(path);
}

}  // namespace elms_cli
