#include "c_api/arguments.hpp"
#include "c_api/handles.hpp"
#include "c_api/prompts.hpp"

namespace elms::inline v0::detail {
namespace {

Status open_refiner(const char* path, const elms_refiner_options* given, elms_refiner** out) {
  if (out == nullptr) return invalid_argument("elms_refiner_open: nowhere to write the refiner");
  *out = nullptr;
  if (path == nullptr) return invalid_argument("elms_refiner_open: the path is a null pointer");
  ELMS_ASSIGN_OR_RETURN(const elms_refiner_options asked, read_options(given, "elms_refiner_options"));
  PromptRefinerOptions options;
  if (asked.n_threads != 0) {
    ELMS_ASSIGN_OR_RETURN(options.pool, ThreadPool::create(asked.n_threads));
  }
  ELMS_ASSIGN_OR_RETURN(auto refiner, PromptRefiner::open(path, options));
  return make_handle(std::move(refiner), out);
}

Result<RefineBudget> read_budget(const elms_refine_options& asked) {
  constexpr double kDefaultKeepRatio = 0.5;
  if (asked.keep_ratio != 0.0 && asked.max_tokens != 0) {
    return invalid_argument("elms_refine_options: a budget is a keep ratio (", asked.keep_ratio,
                            ") or a number of tokens (", asked.max_tokens, "), not both");
  }
  if (asked.max_tokens != 0) return RefineBudget::tokens(asked.max_tokens);
  return RefineBudget::keep(asked.keep_ratio != 0.0 ? asked.keep_ratio : kDefaultKeepRatio);
}

Status refine_to_budget(const elms_refiner* refiner, const elms_model* target, const elms_segment* prompt,
                        std::size_t n_segments, const elms_refine_options* given, const elms_cancel* cancel,
                        elms_refined** out) {
  if (out == nullptr) return invalid_argument("elms_refiner_refine: nowhere to write the result");
  *out = nullptr;
  if (refiner == nullptr || target == nullptr) {
    return invalid_argument("elms_refiner_refine: no ",
                            refiner == nullptr ? "refiner" : "model whose tokens count");
  }
  ELMS_ASSIGN_OR_RETURN(const std::vector<Segment> segments, read_segments(prompt, n_segments));
  ELMS_ASSIGN_OR_RETURN(const elms_refine_options asked, read_options(given, "elms_refine_options"));
  ELMS_ASSIGN_OR_RETURN(const RefineBudget budget, read_budget(asked));
  ELMS_ASSIGN_OR_RETURN(const RefineOptions options, read_refine_options(asked));
  ELMS_ASSIGN_OR_RETURN(const auto tokenizer, target->model->tokenizer());
  ELMS_ASSIGN_OR_RETURN(RefinedPrompt refined,
                        refiner->refiner->refine(segments, *tokenizer, budget, options, token_of(cancel)));
  std::vector<elms_span> spans;
  for (const ByteSpan& span : refined.kept) spans.push_back({span.begin, span.end});
  ELMS_RETURN_IF_ERROR(make_handle(std::move(refined), out));
  (*out)->spans = std::move(spans);
  return {};
}

}  // namespace
}  // namespace elms::inline v0::detail

extern "C" {

elms_code elms_refiner_open(const char* path, const elms_refiner_options* options, elms_refiner** refiner,
                            elms_error* error) {
  return elms::detail::report([&] { return elms::detail::open_refiner(path, options, refiner); }, error);
}

void elms_refiner_close(elms_refiner* refiner) {
  delete refiner;
}

int32_t elms_refiner_can_refine(const elms_refiner* refiner) {
  return refiner != nullptr && refiner->refiner->can_refine();
}
int32_t elms_refiner_can_decide(const elms_refiner* refiner) {
  return refiner != nullptr && refiner->refiner->can_decide();
}

elms_code elms_refiner_refine(const elms_refiner* refiner, const elms_model* target,
                              const elms_segment* prompt, size_t n_segments,
                              const elms_refine_options* options, const elms_cancel* cancel,
                              elms_refined** refined, elms_error* error) {
  const auto refine = [&] {
    return elms::detail::refine_to_budget(refiner, target, prompt, n_segments, options, cancel, refined);
  };
  return elms::detail::report(refine, error);
}

void elms_refined_free(elms_refined* refined) {
  delete refined;
}

const char* elms_refined_text(const elms_refined* refined) {
  return refined == nullptr ? "" : refined->prompt.text.c_str();
}
size_t elms_refined_text_bytes(const elms_refined* refined) {
  return refined == nullptr ? 0 : refined->prompt.text.size();
}

const char* elms_refined_segment(const elms_refined* refined, size_t segment, size_t* text_bytes) {
  const bool is_there = refined != nullptr && segment < refined->prompt.segments.size();
  if (text_bytes != nullptr) *text_bytes = is_there ? refined->prompt.segments[segment].size() : 0;
  return is_there ? refined->prompt.segments[segment].c_str() : nullptr;
}

const elms_span* elms_refined_spans(const elms_refined* refined, size_t* n_spans) {
  if (n_spans != nullptr) *n_spans = refined == nullptr ? 0 : refined->spans.size();
  return refined == nullptr ? nullptr : refined->spans.data();
}

size_t elms_refined_source_offset(const elms_refined* refined, size_t offset) {
  return refined == nullptr ? 0 : refined->prompt.source_offset(offset);
}

size_t elms_refined_tokens_before(const elms_refined* refined) {
  return refined == nullptr ? 0 : refined->prompt.tokens_before;
}
size_t elms_refined_tokens_after(const elms_refined* refined) {
  return refined == nullptr ? 0 : refined->prompt.tokens_after;
}
size_t elms_refined_budget_tokens(const elms_refined* refined) {
  return refined == nullptr ? 0 : refined->prompt.budget_tokens;
}

}  // extern "C"
