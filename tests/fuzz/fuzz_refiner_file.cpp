// Any bytes as the file of a refiner. What opens reads a prompt and cuts it.
#include <cmath>

#include "elms/prompt_refiner.hpp"
#include "tests/fuzz/fuzz_targets.hpp"
#include "tests/fuzz/scratch_file.hpp"

using namespace elms;  // NOLINT

namespace {

using elms_test::require;

void use(const PromptRefiner& refiner) {
  const std::vector<Segment> prompt = {
      Segment::compress("a few words, more than fit into one window: a b c d e f g h i"),
      Segment::protect("which?", SegmentRole::kQuestion)};
  if (refiner.can_refine()) {
    const auto refined = refiner.refine(prompt, refiner.tokenizer(), RefineBudget::keep(0.6).or_protected());
    if (refined.has_value()) require(refined->tokens_after <= refined->budget_tokens, "the budget is met");
  }
  if (refiner.can_decide()) {
    const auto qualities = refiner.decide(prompt, {.ttft = 0.5, .tpot = 0.5});
    if (qualities.has_value()) require(!qualities->quality.empty(), "a decision has strategies");
  }
}

}  // namespace

void elms_test::fuzz_refiner_file(FuzzBytes bytes) {
  static ScratchFolder folder;
  static const std::shared_ptr<ThreadPool> pool = *ThreadPool::create(1);
  PromptRefinerOptions options;
  options.pool = pool;
  const auto refiner = PromptRefiner::open(folder.write("refiner.gguf", bytes), options);
  if (refiner.has_value()) {
    use(**refiner);
  } else {
    require(refiner.error().code() == StatusCode::kOutOfMemory ||
                refiner.error().message().find("refiner.gguf") != std::string::npos,
            "every error names the file");
  }
}
