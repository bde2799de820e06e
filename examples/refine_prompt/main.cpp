// Shortens a text to a share of its tokens and shows what went: refine_prompt REFINER.gguf MODEL.gguf FILE
// [KEEP [QUESTION]] The question is kept as it is. On a terminal dropped words are struck out; otherwise they
// stand in [- -].
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <elms/elms.hpp>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace {

int report(const elms::Status& status) {
  std::fprintf(stderr, "refine_prompt: %s: %s\n", elms::to_string(status.code()), status.message().c_str());
  return 1;
}

void print_with_marks(const std::string& prompt, const elms::RefinedPrompt& refined) {
  const bool is_terminal = isatty(STDOUT_FILENO) != 0;
  const char* open = is_terminal ? "\x1b[9;2m" : "[-";
  const char* close = is_terminal ? "\x1b[0m" : "-]";
  std::size_t at = 0;
  const auto dropped_until = [&](std::size_t end) {
    if (end > at) std::printf("%s%s%s", open, prompt.substr(at, end - at).c_str(), close);
  };
  for (const elms::ByteSpan& span : refined.kept) {
    dropped_until(span.begin);
    std::fwrite(prompt.data() + span.begin, 1, span.size(), stdout);
    at = span.end;
  }
  dropped_until(prompt.size());
  std::printf("\n");
}

/// What the tokens that went would have cost, as far as a few timed tokens tell.
void print_saving(const std::shared_ptr<const elms::ElasticModel>& model,
                  const elms::RefinedPrompt& refined) {
  auto planner = elms::SLOPlanner::create(model);
  if (!planner.has_value()) return;
  const int level = static_cast<int>(model->levels().size()) - 1;
  const auto ttft_ms = [&](std::size_t n) {
    return (*planner)->predict_ttft(level, static_cast<std::int32_t>(n)).ms;
  };
  std::printf(
      "first token of the full model, predicted: %.1f ms for the whole prompt, %.1f ms for what is left\n",
      ttft_ms(refined.tokens_before), ttft_ms(refined.tokens_after));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr, "usage: refine_prompt REFINER.gguf MODEL.gguf FILE [KEEP [QUESTION]]\n");
    return 2;
  }
  auto refiner = elms::PromptRefiner::open(argv[1]);
  if (!refiner.has_value()) return report(refiner.error());
  auto model = elms::ElasticModel::open(argv[2]);  // the budget is counted in its tokens
  if (!model.has_value()) return report(model.error());
  auto tokenizer = (*model)->tokenizer();
  if (!tokenizer.has_value()) return report(tokenizer.error());
  std::ifstream file(argv[3], std::ios::binary);
  if (!file) return report({elms::StatusCode::kNotFound, argv[3]});
  const double keep = argc > 4 ? std::atof(argv[4]) : 0.5;

  std::vector<elms::Segment> prompt = {elms::Segment::compress({std::istreambuf_iterator<char>(file), {}})};
  if (argc > 5)
    prompt.push_back(elms::Segment::protect(std::string("\n") + argv[5], elms::SegmentRole::kQuestion));
  elms::RefineOptions options;
  options.force_tokens = {"?", "not", "no"};  // beside what is kept anyway: numbers, URLs, code, JSON
  options.drop_consecutive = true;
  const auto refined = (*refiner)->refine(prompt, **tokenizer, elms::RefineBudget::keep(keep), options);
  if (!refined.has_value()) return report(refined.error());

  std::string text;
  for (const elms::Segment& segment : prompt) text += segment.text;
  print_with_marks(text, *refined);
  std::printf("\n%zu of %zu tokens, budget %zu\n", refined->tokens_after, refined->tokens_before,
              refined->budget_tokens);
  print_saving(*model, *refined);
  return 0;
}
