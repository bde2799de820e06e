#include "cli/slo_report.hpp"

#include <algorithm>
#include <cstdio>
#include <functional>
#include <vector>

#include "cli/html_page.hpp"

namespace elms_cli {
namespace {

using elms::offline::SloEvalResult;
using elms::offline::SloScore;
using elms::offline::SloStrategyResult;

Json score_json(const SloScore& score) {
  return {{"n", score.n},
          {"n_feasible", score.n_feasible},
          {"n_promised", score.n_promised},
          {"accuracy", score.accuracy},
          {"accuracy_in_time", score.accuracy_in_time},
          {"attained", score.attained},
          {"attained_of_feasible", score.attained_of_feasible},
          {"attained_of_promised", score.attained_of_promised},
          {"ttft_attained", score.ttft_attained},
          {"tpot_attained", score.tpot_attained},
          {"ttft_p50_over_target", score.ttft_over_target.p50},
          {"ttft_p95_over_target", score.ttft_over_target.p95},
          {"ttft_p99_over_target", score.ttft_over_target.p99},
          {"tpot_p50_over_target", score.tpot_over_target.p50},
          {"tpot_p95_over_target", score.tpot_over_target.p95},
          {"tpot_p99_over_target", score.tpot_over_target.p99},
          {"mean_width", score.mean_width},
          {"mean_keep_ratio", score.mean_keep_ratio}};
}

Json strategy_json(const SloStrategyResult& strategy, const SloEvalResult& result) {
  Json json = {{"name", strategy.name}};
  json.update(score_json(strategy.total));
  Json classes = Json::array();
  for (std::size_t i = 0; i < result.classes.size(); ++i) {
    Json one = {{"name", result.classes[i].name},
                {"ttft_target", result.classes[i].shares.ttft},
                {"tpot_target", result.classes[i].shares.tpot}};
    one.update(score_json(strategy.per_class[i]));
    classes.push_back(std::move(one));
  }
  json["per_class"] = std::move(classes);
  json["mean_ttft_ms"] = strategy.mean_ttft_ms;
  json["mean_refine_ms"] = strategy.mean_refine_ms;
  json["mean_plan_ms"] = strategy.mean_plan_ms;
  json["level_changes"] = strategy.n_level_changes;
  json["memory_bytes"] = strategy.memory_bytes;
  return json;
}

const std::vector<std::string> kTotalHeader = {
    "strategy", "right",    "right in time", "in time", "of feasible", "TTFT met", "TPOT met",
    "TTFT p99", "TPOT p99", "width",         "kept",    "overhead",    "memory"};

std::vector<std::string> total_row(const SloStrategyResult& s) {
  const double overhead =
      s.mean_ttft_ms > 0.0 ? (s.mean_refine_ms + s.mean_plan_ms) / s.mean_ttft_ms * 100.0 : 0.0;
  return {s.name,
          fixed(s.total.accuracy, 3),
          fixed(s.total.accuracy_in_time, 3),
          fixed(s.total.attained, 3),
          fixed(s.total.attained_of_feasible, 3),
          fixed(s.total.ttft_attained, 3),
          fixed(s.total.tpot_attained, 3),
          fixed(s.total.ttft_over_target.p99, 2),
          fixed(s.total.tpot_over_target.p99, 2),
          fixed(s.total.mean_width, 2),
          fixed(s.total.mean_keep_ratio, 2),
          fixed(overhead, 1) + "%",
          readable_bytes(s.memory_bytes)};
}

using ScoreValue = std::function<double(const SloScore&)>;

std::vector<std::string> class_header(const SloEvalResult& result) {
  std::vector<std::string> header = {"strategy"};
  for (std::size_t i = 0; i < result.classes.size(); ++i) {
    const SloScore& score = result.strategies.front().per_class[i];
    header.push_back(result.classes[i].name + " (" + std::to_string(score.n_feasible) + "/" +
                     std::to_string(score.n) + ")");
  }
  return header;
}

std::vector<std::string> class_row(const SloStrategyResult& s, const ScoreValue& value) {
  std::vector<std::string> row = {s.name};
  for (const SloScore& score : s.per_class) row.push_back(fixed(value(score), 3));
  return row;
}

/// By class; the static widths, which are many, are left to the tables.
Plot class_plot(const SloEvalResult& result, const std::string& title, const ScoreValue& value) {
  constexpr std::size_t kMost = 7;
  Plot plot;
  plot.title = title;
  plot.x_label = "class of targets, loosest first";
  plot.y_label = "share of requests";
  for (const SloStrategyResult& s : result.strategies) {
    if (s.name.starts_with("static-") || plot.series.size() == kMost) continue;
    Series series{s.name, {}};
    for (std::size_t i = 0; i < s.per_class.size(); ++i)
      series.points.push_back({static_cast<double>(i + 1), value(s.per_class[i])});
    plot.series.push_back(std::move(series));
  }
  return plot;
}

std::string trace_in_words(const SloEvalResult& result) {
  return std::to_string(result.strategies.front().total.n) + " requests of " +
         fixed(result.mean_prompt_tokens, 0) + " tokens in the mean, in " + fixed(result.seconds, 1) +
         " s. The full model takes " + fixed(result.mean_full.ttft_ms, 1) + " ms to the first token and " +
         fixed(result.mean_full.tpot_ms, 2) + " ms a token, margins included; targets are shares of that.";
}

constexpr const char* kLegend =
    "Right: the answer's first line is the right choice. In time: both targets met. Of feasible: in time, of "
    "the requests for which some strategy was predicted to be in time alone on the machine. p99: measured "
    "time over target. Overhead: refiner and planner, share of the mean TTFT.";

double right_in_time(const SloScore& score) {
  return score.accuracy_in_time;
}
double right(const SloScore& score) {
  return score.accuracy;
}
double in_time(const SloScore& score) {
  return score.attained;
}

}  // namespace

Json slo_json(const SloEvalResult& result) {
  Json strategies = Json::array();
  for (const SloStrategyResult& s : result.strategies) strategies.push_back(strategy_json(s, result));
  return {{"strategies", std::move(strategies)},      {"full_ttft_ms", result.mean_full.ttft_ms},
          {"full_tpot_ms", result.mean_full.tpot_ms}, {"prompt_tokens", result.mean_prompt_tokens},
          {"answerable", result.answerable},          {"seconds", result.seconds}};
}

void print_slo(const SloEvalResult& result) {
  std::printf("%s\n\n", trace_in_words(result).c_str());
  Table totals(kTotalHeader);
  for (const SloStrategyResult& s : result.strategies) totals.add(total_row(s));
  totals.print();
  for (const auto& [title, value] :
       {std::pair<const char*, ScoreValue>{"right, by class (feasible/all)", right},
        {"right and in time, by class", right_in_time},
        {"in time, by class", in_time}}) {
    std::printf("\n%s\n", title);
    Table table(class_header(result));
    for (const SloStrategyResult& s : result.strategies) table.add(class_row(s, value));
    table.print();
  }
  if (result.answerable > 0.0) {
    std::printf("\n%s of the requests are answered right by some strategy.\n",
                fixed(result.answerable, 3).c_str());
  }
  std::printf("\n%s\n", kLegend);
}

elms::Status write_slo_plot(const SloEvalResult& result, const std::string& path) {
  return write_svg(class_plot(result, "Right and in time", right_in_time), path);
}

elms::Status write_slo_html(const SloEvalResult& result, const std::string& title, const std::string& path) {
  HtmlPage page(title, "Requests with targets: " + title);
  page.add_text(trace_in_words(result));
  page.add_plot(class_plot(result, "Right and in time", right_in_time));
  page.add_plot(class_plot(result, "In time", in_time));
  page.add_plot(class_plot(result, "Right", right));
  std::vector<std::vector<std::string>> rows;
  for (const SloStrategyResult& s : result.strategies) rows.push_back(total_row(s));
  page.add_table(kTotalHeader, rows);
  page.add_text(kLegend);
  for (const auto& [heading, value] :
       {std::pair<const char*, ScoreValue>{"Right and in time, by class (feasible/all)", right_in_time},
        {"Right, by class", right},
        {"In time, by class", in_time}}) {
    page.add_heading(heading);
    rows.clear();
    for (const SloStrategyResult& s : result.strategies) rows.push_back(class_row(s, value));
    page.add_table(class_header(result), rows);
  }
  return page.write(path);
}

}  // namespace elms_cli
