#include "c_api/arguments.hpp"
#include "c_api/handles.hpp"
#include "c_api/plans.hpp"
#include "elms/generate.hpp"

namespace elms::inline v0::detail {
namespace {

static_assert(static_cast<int>(FinishReason::kError) == ELMS_FINISH_ERROR,
              "reasons of elms.h are those of FinishReason");

Result<GenerateOptions> read_generate_options(const elms_generate_options* given) {
  ELMS_ASSIGN_OR_RETURN(const elms_generate_options asked, read_options(given, "elms_generate_options"));
  GenerateOptions options;
  if (asked.max_tokens != 0) options.max_tokens = std::max(0, asked.max_tokens);
  ELMS_ASSIGN_OR_RETURN(options.stop, read_texts(asked.stop, asked.n_stop, "stop"));
  options.cancel = token_of(asked.cancel);
  options.on_text = text_sink(asked.on_text, asked.user_data);
  return options;
}

Status generate_answer(elms_session* session, const char* prompt, std::size_t prompt_bytes, const elms_generate_options* given,
                       elms_answer** out) {
  if (out == nullptr) return invalid_argument("elms_generate: nowhere to write the answer");
  *out = nullptr;
  if (session == nullptr) return invalid_argument("elms_generate: no session");
  ELMS_ASSIGN_OR_RETURN(const GenerateOptions options, read_generate_options(given));
  ELMS_ASSIGN_OR_RETURN(const std::string_view text, read_text(prompt, prompt_bytes, "prompt"));
  ELMS_ASSIGN_OR_RETURN(const auto tokenizer, session->session.model().tokenizer());
  // What begins a text was said at the start of the conversation.
  const std::vector<TokenId> tokens = tokenizer->encode(text, {.add_special = session->session.position() == 0});
  ELMS_ASSIGN_OR_RETURN(Generated generated, generate(session->session, *tokenizer, tokens, options));
  Answer answer;
  answer.text = std::move(generated.text);
  answer.tokens = std::move(generated.tokens);
  answer.finish = generated.finish;
  answer.times.ttft_ms = generated.ttft_ms;
  answer.times.tpot_ms = generated.tpot_ms;
  return make_handle(std::move(answer), out);
}

Status plan_of(const elms_answer* answer, elms_plan* out) {
  if (answer == nullptr) return invalid_argument("elms_answer_plan: no answer");
  if (!answer->of_service) return Status(StatusCode::kNotFound, "elms_answer_plan: a session's answer has no plan");
  return write_plan(answer->answer.plan, out);
}

Status times_of(const elms_answer* answer, elms_times* out) {
  if (answer == nullptr) return invalid_argument("elms_answer_times: no answer");
  const AnswerTimes& from = answer->answer.times;
  const elms_times times{sizeof times,      from.queue_ms, from.refine_ms, from.plan_ms,
                         from.prefill_ms, from.ttft_ms,  from.tpot_ms,   from.total_ms};
  return write_struct(times, out, "elms_times");
}

}  // namespace
}  // namespace elms::inline v0::detail

extern "C" {

elms_code elms_generate(elms_session* session, const char* prompt, size_t prompt_bytes, const elms_generate_options* options,
                        elms_answer** answer, elms_error* error) {
  const auto generate = [&] { return elms::detail::generate_answer(session, prompt, prompt_bytes, options, answer); };
  return elms::detail::report(generate, error);
}

const char* elms_answer_text(const elms_answer* answer) { return answer == nullptr ? "" : answer->answer.text.c_str(); }
size_t elms_answer_text_bytes(const elms_answer* answer) { return answer == nullptr ? 0 : answer->answer.text.size(); }
int32_t elms_answer_n_tokens(const elms_answer* answer) {
  return answer == nullptr ? 0 : static_cast<int32_t>(answer->answer.tokens.size());
}
elms_finish elms_answer_finish(const elms_answer* answer) {
  return answer == nullptr ? ELMS_FINISH_CANCELLED : static_cast<elms_finish>(answer->answer.finish);
}
double elms_answer_ttft_ms(const elms_answer* answer) { return answer == nullptr ? 0.0 : answer->answer.times.ttft_ms; }
double elms_answer_tpot_ms(const elms_answer* answer) { return answer == nullptr ? 0.0 : answer->answer.times.tpot_ms; }
void elms_answer_free(elms_answer* answer) { delete answer; }

elms_code elms_answer_plan(const elms_answer* answer, elms_plan* plan, elms_error* error) {
  return elms::detail::report([&] { return elms::detail::plan_of(answer, plan); }, error);
}

elms_code elms_answer_times(const elms_answer* answer, elms_times* times, elms_error* error) {
  return elms::detail::report([&] { return elms::detail::times_of(answer, times); }, error);
}

int32_t elms_answer_n_prompt_tokens(const elms_answer* answer) { return answer == nullptr ? 0 : answer->answer.n_prompt_tokens; }
int32_t elms_answer_n_original_tokens(const elms_answer* answer) {
  return answer == nullptr ? 0 : answer->answer.n_original_tokens;
}
int32_t elms_answer_n_reused_tokens(const elms_answer* answer) { return answer == nullptr ? 0 : answer->answer.n_reused_tokens; }
int32_t elms_answer_n_level_changes(const elms_answer* answer) {
  return answer == nullptr ? 0 : static_cast<int32_t>(answer->answer.level_changes.size());
}
const char* elms_answer_refined_prompt(const elms_answer* answer) {
  return answer == nullptr ? "" : answer->answer.refined_prompt.c_str();
}
elms_code elms_answer_status(const elms_answer* answer, elms_error* error) {
  return elms::detail::report(answer == nullptr ? elms::Status() : answer->answer.status, error);
}

}  // extern "C"
