// elms eval narrowing: what a level makes of a cache that a wider one has computed.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cli/arguments.hpp"
#include "cli/commands.hpp"
#include "cli/console.hpp"
#include "cli/plot.hpp"
#include "elms/offline/perplexity.hpp"

namespace elms_cli {
namespace {

namespace offline = elms::offline;

struct NarrowingArguments {
  std::string model, text, svg;
  std::int32_t max_tokens = 0;
  std::int32_t window = offline::PerplexityOptions().window_tokens;
  std::int32_t prompt_tokens = offline::PerplexityOptions().window_tokens / 2;
  elms::KvType kv = elms::KvType::kF16;
  std::size_t threads = 0;
  bool json = false;
};

/// [prompt level][level at which the rest is predicted]
using Results = std::vector<std::vector<offline::PerplexityResult>>;

elms::Result<Results> evaluate(const NarrowingArguments& arguments) {
  ELMS_ASSIGN_OR_RETURN(const auto model, open_model(arguments.model, arguments.threads));
  ELMS_ASSIGN_OR_RETURN(const std::string text, read_text(arguments.text));
  ELMS_ASSIGN_OR_RETURN(const std::shared_ptr<const elms::Tokenizer> tokenizer, model->tokenizer());
  const std::vector<elms::TokenId> tokens = tokenizer->encode(text, {.add_special = false});
  std::vector<int> levels(model->levels().size());
  for (std::size_t i = 0; i < levels.size(); ++i) levels[i] = static_cast<int>(i);

  const InterruptGuard interrupt;
  ProgressBar bar;
  const auto show = bar.callback(interrupt);
  offline::PerplexityOptions options;
  options.max_tokens = arguments.max_tokens;
  options.window_tokens = arguments.window;
  options.prompt_tokens = arguments.prompt_tokens;
  options.kv_type = arguments.kv;
  Results results;
  for (const int level : levels) {
    options.progress = [&](const offline::Progress& part) {
      return show({part.phase, (level + part.fraction) / static_cast<double>(levels.size())});
    };
    options.prompt_level = level;
    ELMS_ASSIGN_OR_RETURN(auto row, offline::evaluate_perplexity(model, tokens, levels, options));
    results.push_back(std::move(row));
  }
  return results;
}

void print_results(const Results& results, bool json) {
  Json list = Json::array();
  std::vector<std::string> header = {"prompt at"};
  for (const auto& result : results.front()) header.push_back("rest at " + fixed(result.cost_share, 2));
  Table table(header);
  for (std::size_t prompt = 0; prompt < results.size(); ++prompt) {
    const double prompt_share = results[prompt][prompt].cost_share;
    std::vector<std::string> row = {fixed(prompt_share, 2)};
    for (const auto& result : results[prompt]) {
      row.push_back(fixed(result.perplexity, result.perplexity < 1000 ? 3 : 0));
      list.push_back({{"prompt_level", prompt},
                      {"prompt_cost_share", prompt_share},
                      {"level", result.level},
                      {"cost_share", result.cost_share},
                      {"nll", result.nll},
                      {"ppl", result.perplexity},
                      {"tokens", result.tokens}});
    }
    table.add(std::move(row));
  }
  if (json) {
    print_json(list);
  } else {
    table.print();
  }
}

elms::Status plot(const Results& results, const NarrowingArguments& arguments) {
  Series own{"prompt at the same width", {}}, full{"prompt at full width", {}};
  for (std::size_t level = 0; level < results.size(); ++level) {
    const auto& same = results[level][level];
    own.points.push_back({same.cost_share, same.perplexity});
    full.points.push_back({same.cost_share, results.back()[level].perplexity});
  }
  const std::string name = arguments.model.substr(arguments.model.find_last_of("/\\") + 1);
  return write_svg({.title = "Perplexity of " + name + " behind a prompt",
                    .x_label = "cost of what is predicted: share of the full model's weight bytes",
                    .y_label = "perplexity (lower is better)",
                    .series = {std::move(own), std::move(full)}},
                   arguments.svg);
}

elms::Status narrowing(const NarrowingArguments& arguments) {
  ELMS_ASSIGN_OR_RETURN(const Results results, evaluate(arguments));
  print_results(results, arguments.json);
  return arguments.svg.empty() ? elms::Status() : plot(results, arguments);
}

}  // namespace

void add_eval_narrowing(CLI::App& eval, Action& action) {
  auto arguments = std::make_shared<NarrowingArguments>();
  CLI::App& command = *eval.add_subcommand(
      "narrowing", "Perplexity behind a prompt that another level has read: what narrowing costs");
  add_model(command, arguments->model);
  add_windows_of_text(command, arguments->text, arguments->max_tokens, arguments->window);
  command
      .add_option("--prompt-tokens", arguments->prompt_tokens,
                  "Tokens of a window that are its prompt, and not predicted")
      ->check(CLI::Range(1, 1 << 20))
      ->option_text("N [" + std::to_string(arguments->prompt_tokens) + "]");
  add_kv(command, arguments->kv);
  command.add_option("--svg", arguments->svg, "Write a plot of perplexity against cost")->option_text("FILE");
  add_threads(command, arguments->threads);
  add_json(command, arguments->json);
  command.footer(
      "A service that narrows while it decodes goes on with what the wider level computed.\n"
      "Example:\n  elms eval narrowing assistant.elastic.gguf --text wiki.txt --svg narrowing.svg");
  bind(command, arguments, narrowing, action);
}

}  // namespace elms_cli
