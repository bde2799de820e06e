#include "c_api/arguments.hpp"
#include "c_api/handles.hpp"

namespace elms::inline v0::detail {
namespace {

static_assert(static_cast<int>(FinishReason::kError) == ELMS_FINISH_ERROR,
              "reasons of elms.h are those of FinishReason");

Result<GenerateOptions> read_generate_options(const elms_generate_options* given) {
  ELMS_ASSIGN_OR_RETURN(const elms_generate_options asked, read_options(given, "elms_generate_options"));
  GenerateOptions options;
  if (asked.max_tokens != 0) options.max_tokens = std::max(0, asked.max_tokens);
  if (asked.stop == nullptr && asked.n_stop != 0) return invalid_argument("stop: a null pointer to ", asked.n_stop, " texts");
  for (std::size_t i = 0; i < asked.n_stop; ++i) {
    if (asked.stop[i] == nullptr) return invalid_argument("stop: text ", i, " is a null pointer");
    options.stop.emplace_back(asked.stop[i]);
  }
  options.cancel = token_of(asked.cancel);
  if (asked.on_text != nullptr) {
    options.on_text = [on_text = asked.on_text, user_data = asked.user_data](std::string_view piece) {
      return on_text(user_data, piece.data(), piece.size()) == ELMS_STOP ? Flow::kStop : Flow::kContinue;
    };
  }
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
  return make_handle(std::move(generated), out);
}

}  // namespace
}  // namespace elms::inline v0::detail

extern "C" {

elms_code elms_generate(elms_session* session, const char* prompt, size_t prompt_bytes, const elms_generate_options* options,
                        elms_answer** answer, elms_error* error) {
  return elms::detail::report(elms::detail::generate_answer(session, prompt, prompt_bytes, options, answer), error);
}

const char* elms_answer_text(const elms_answer* answer) { return answer == nullptr ? "" : answer->generated.text.c_str(); }
size_t elms_answer_text_bytes(const elms_answer* answer) { return answer == nullptr ? 0 : answer->generated.text.size(); }
int32_t elms_answer_n_tokens(const elms_answer* answer) {
  return answer == nullptr ? 0 : static_cast<int32_t>(answer->generated.tokens.size());
}
elms_finish elms_answer_finish(const elms_answer* answer) {
  return answer == nullptr ? ELMS_FINISH_CANCELLED : static_cast<elms_finish>(answer->generated.finish);
}
double elms_answer_ttft_ms(const elms_answer* answer) { return answer == nullptr ? 0.0 : answer->generated.ttft_ms; }
double elms_answer_tpot_ms(const elms_answer* answer) { return answer == nullptr ? 0.0 : answer->generated.tpot_ms; }
void elms_answer_free(elms_answer* answer) { delete answer; }

}  // extern "C"
