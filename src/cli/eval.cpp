// elms eval: how good a model is at each width. Perplexity is here, tasks are in eval_task.cpp.
#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "cli/arguments.hpp"
#include "cli/commands.hpp"
#include "cli/console.hpp"
#include "cli/plot.hpp"
#include "elms/offline/perplexity.hpp"

namespace elms_cli {
namespace {

namespace offline = elms::offline;

struct PerplexityArguments {
  std::string model, text, svg;
  std::vector<double> widths;
  std::int32_t max_tokens = 0;
  std::int32_t window = offline::PerplexityOptions().window_tokens;
  elms::KvType kv = elms::KvType::kF16;
  std::size_t threads = 0;
  bool json = false;
};

/// A width that was asked for, and what its level scored.
struct Row {
  double width;
  offline::PerplexityResult result;
};

elms::Result<std::vector<Row>> evaluate(const PerplexityArguments& arguments) {
  ELMS_ASSIGN_OR_RETURN(const auto model, open_model(arguments.model, arguments.threads));
  ELMS_ASSIGN_OR_RETURN(const std::string text, read_text(arguments.text));
  ELMS_ASSIGN_OR_RETURN(const std::shared_ptr<const elms::Tokenizer> tokenizer, model->tokenizer());
  const std::vector<elms::TokenId> tokens = tokenizer->encode(text, {.add_special = false});

  std::vector<double> widths = arguments.widths;
  if (widths.empty()) {
    for (const elms::Level& level : model->levels()) widths.push_back(level.cost_share);
  }
  // Widths that share a level are evaluated once.
  std::vector<int> levels;
  for (const double width : widths) levels.push_back(model->level_for_width(width));
  std::vector<int> distinct = levels;
  std::sort(distinct.begin(), distinct.end());
  distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());

  const InterruptGuard interrupt;
  ProgressBar bar;
  offline::PerplexityOptions options;
  options.max_tokens = arguments.max_tokens;
  options.window_tokens = arguments.window;
  options.kv_type = arguments.kv;
  options.progress = bar.callback(interrupt);
  ELMS_ASSIGN_OR_RETURN(const auto results, offline::evaluate_perplexity(model, tokens, distinct, options));
  std::vector<Row> rows;
  for (std::size_t i = 0; i < widths.size(); ++i) {
    const auto at = std::lower_bound(distinct.begin(), distinct.end(), levels[i]) - distinct.begin();
    rows.push_back({widths[i], results[static_cast<std::size_t>(at)]});
  }
  return rows;
}

void print_rows(const std::vector<Row>& rows, bool json) {
  Json list = Json::array();
  Table table({"width", "level", "cost", "nll", "perplexity", "tokens"});
  for (const auto& [width, result] : rows) {
    list.push_back({{"width", width},
                    {"level", result.level},
                    {"cost_share", result.cost_share},
                    {"nll", result.nll},
                    {"ppl", result.perplexity},
                    {"tokens", result.tokens}});
    table.add({fixed(width, 2), std::to_string(result.level), fixed(result.cost_share, 3),
               fixed(result.nll, 4), fixed(result.perplexity, result.perplexity < 1000 ? 3 : 0),
               std::to_string(result.tokens)});
  }
  if (json) {
    print_json(list);
  } else {
    table.print();
  }
}

elms::Status plot(const std::vector<Row>& rows, const PerplexityArguments& arguments) {
  Series series;
  for (const Row& row : rows) series.points.push_back({row.result.cost_share, row.result.perplexity});
  std::sort(series.points.begin(), series.points.end(),
            [](const Point& a, const Point& b) { return a.x < b.x; });
  const std::string name = arguments.model.substr(arguments.model.find_last_of("/\\") + 1);
  return write_svg({.title = "Perplexity of " + name + " by width",
                    .x_label = "cost: share of the full model's weight bytes read per token",
                    .y_label = "perplexity (lower is better)",
                    .series = {std::move(series)}},
                   arguments.svg);
}

elms::Status perplexity(const PerplexityArguments& arguments) {
  ELMS_ASSIGN_OR_RETURN(const std::vector<Row> rows, evaluate(arguments));
  print_rows(rows, arguments.json);
  return arguments.svg.empty() ? elms::Status() : plot(rows, arguments);
}

}  // namespace

void add_eval(CLI::App& app, Action& action) {
  CLI::App& eval = *app.add_subcommand("eval", "Measure how good a model is at each width");
  eval.require_subcommand(1);
  eval.footer("Example:\n  elms eval ppl assistant.elastic.gguf --text wiki.txt");

  auto arguments = std::make_shared<PerplexityArguments>();
  CLI::App& command = *eval.add_subcommand("ppl", "Perplexity on a text");
  add_model(command, arguments->model);
  add_windows_of_text(command, arguments->text, arguments->max_tokens, arguments->window);
  add_widths(command, "--widths", arguments->widths, "Widths to measure at (default: every level)");
  add_kv(command, arguments->kv);
  command.add_option("--svg", arguments->svg, "Write a plot of perplexity against cost")->option_text("FILE");
  add_threads(command, arguments->threads);
  add_json(command, arguments->json);
  command.footer(
      "Example:\n  elms eval ppl assistant.elastic.gguf --text wiki.txt --widths 0.3,0.5,1.0 --svg ppl.svg");
  bind(command, arguments, perplexity, action);
  add_eval_compare(eval, action);
  add_eval_narrowing(eval, action);
  add_eval_quality(eval, action);
  add_eval_refiner_labels(eval, action);
  add_eval_task(eval, action);
  add_eval_refiner(eval, action);
  add_eval_refiner_tasks(eval, action);
  add_eval_slo(eval, action);
}

}  // namespace elms_cli
