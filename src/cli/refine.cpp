// elms refine: shortens a prompt. elms decide: says which strategies would answer it.
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "cli/arguments.hpp"
#include "cli/commands.hpp"
#include "cli/console.hpp"
#include "cli/refine_report.hpp"
#include "cli/refiner_arguments.hpp"
#include "elms/detail/gguf.hpp"
#include "elms/prompt_refiner.hpp"

namespace elms_cli {
namespace {

using elms::offline::ScoreMethod;

struct RefineArguments {
  std::string model, target, lm, file;
  ScoreMethod method = ScoreMethod::kRefiner;
  double keep = 0.5;
  std::int64_t n_tokens = 0;
  std::uint64_t seed = 1;
  elms::RefineOptions options;
  std::size_t threads = 0;
  bool words = false, json = false;
};

elms::Result<std::shared_ptr<const elms::Tokenizer>> open_tokenizer(const std::string& path) {
  if (path.size() > 5 && path.substr(path.size() - 5) == ".json")
    return elms::Tokenizer::from_tokenizer_json(path);
  ELMS_ASSIGN_OR_RETURN(const auto file, elms::detail::GgufFile::open(path));
  return elms::Tokenizer::from_gguf(file);
}

elms::Result<elms::RefinedPrompt> refined_prompt(const RefineArguments& arguments,
                                                 std::span<const elms::Segment> prompt) {
  ELMS_ASSIGN_OR_RETURN(const auto tokenizer, open_tokenizer(arguments.target));
  ELMS_ASSIGN_OR_RETURN(
      elms::offline::WordScorer scorer,
      open_scorer({arguments.method}, arguments.model, arguments.lm.empty() ? arguments.target : arguments.lm,
                  arguments.threads, arguments.seed));
  ELMS_ASSIGN_OR_RETURN(const std::vector<float> scores,
                        scorer.score(arguments.method, prompt, arguments.options));
  const elms::RefineBudget budget = arguments.n_tokens > 0 ? elms::RefineBudget::tokens(arguments.n_tokens)
                                                           : elms::RefineBudget::keep(arguments.keep);
  return elms::refine_by_scores(prompt, scores, *tokenizer, budget, arguments.options);
}

elms::Status refine(const RefineArguments& arguments) {
  ELMS_ASSIGN_OR_RETURN(std::string text, read_text(arguments.file));
  const std::vector<elms::Segment> prompt = {elms::Segment::compress(std::move(text))};
  ELMS_ASSIGN_OR_RETURN(const elms::RefinedPrompt refined, refined_prompt(arguments, prompt));
  if (arguments.json) {
    print_json(refined_json(refined, arguments.words));
    return {};
  }
  if (stdout_is_terminal()) {
    print_diff(prompt.front().text, refined);
  } else {
    std::fwrite(refined.text.data(), 1, refined.text.size(), stdout);
  }
  std::fprintf(stderr, "%zu of %zu tokens kept, budget %zu\n", refined.tokens_after, refined.tokens_before,
               refined.budget_tokens);
  return {};
}

struct DecideArguments {
  std::string model, file;
  elms::SloShares slo;
  std::size_t threads = 0;
  bool json = false;
};

elms::Status decide(const DecideArguments& arguments) {
  ELMS_ASSIGN_OR_RETURN(std::string text, read_text(arguments.file));
  ELMS_ASSIGN_OR_RETURN(const auto refiner, open_refiner(arguments.model, arguments.threads));
  const std::vector<elms::Segment> prompt = {elms::Segment::compress(std::move(text))};
  ELMS_ASSIGN_OR_RETURN(const elms::StrategyQualities grid, refiner->decide(prompt, arguments.slo));
  if (arguments.json) {
    print_json(grid_json(grid));
  } else {
    print_grid(grid);
  }
  return {};
}

void add_budget(CLI::App& command, RefineArguments& arguments) {
  auto* keep =
      command
          .add_option("--keep", arguments.keep, "Share of the prompt's tokens to keep at most, above 0 to 1")
          ->check(width_validator())
          ->option_text("RATIO [0.5]");
  command.add_option("--tokens", arguments.n_tokens, "Tokens to keep at most, in those of --target")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 40))
      ->excludes(keep)
      ->option_text("N");
}

}  // namespace

void add_refine(CLI::App& app, Action& action) {
  auto arguments = std::make_shared<RefineArguments>();
  CLI::App& command =
      *app.add_subcommand("refine", "Shorten a prompt to a budget by the importance of its words");
  command.add_option("FILE", arguments->file, "The prompt; - is standard input")
      ->required()
      ->option_text("FILE");
  command.add_option("-m,--model", arguments->model, "The refiner")->option_text("GGUF");
  command
      .add_option("--target", arguments->target,
                  "The language model whose tokens the budget counts (GGUF, or a tokenizer.json)")
      ->required()
      ->option_text("PATH");
  add_budget(command, *arguments);
  add_refine_options(command, arguments->options);
  add_score_method(command, arguments->method);
  command.add_option("--lm", arguments->lm, "The model of self-information (default: --target)")
      ->option_text("GGUF");
  command.add_option("--seed", arguments->seed, "Of random scores")->option_text("N");
  command.add_flag("--words", arguments->words,
                   "With --json: every word, its kind, score and whether it was kept");
  add_threads(command, arguments->threads);
  add_json(command, arguments->json);
  command.footer(
      "Prints what is left; on a terminal the whole prompt with what was dropped struck out.\n"
      "Template markers, JSON and code are always kept; numbers and URLs are kept whole, and before any "
      "word.\n"
      "Example:\n  elms refine --model refiner.gguf --target assistant.gguf --keep 0.5 --protect-last-line "
      "prompt.txt");
  bind(command, arguments, refine, action);
}

void add_decide(CLI::App& app, Action& action) {
  auto arguments = std::make_shared<DecideArguments>();
  CLI::App& command =
      *app.add_subcommand("decide", "Expected quality of each width and keep ratio for a prompt");
  command.add_option("FILE", arguments->file, "The prompt; - is standard input")
      ->required()
      ->option_text("FILE");
  command.add_option("-m,--model", arguments->model, "The refiner")->required()->option_text("GGUF");
  command
      .add_option("--ttft", arguments->slo.ttft,
                  "Time to the first token allowed, as a share of the full model's")
      ->check(width_validator())
      ->option_text("SHARE [1]");
  command
      .add_option("--tpot", arguments->slo.tpot, "Time of a token allowed, as a share of the full model's")
      ->check(width_validator())
      ->option_text("SHARE [1]");
  add_threads(command, arguments->threads);
  add_json(command, arguments->json);
  command.footer("Example:\n  elms decide --model refiner.gguf --ttft 0.5 prompt.txt --json");
  bind(command, arguments, decide, action);
}

}  // namespace elms_cli
