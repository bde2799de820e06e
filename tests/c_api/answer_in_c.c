#include "answer_in_c.h"

#include <string.h>

static elms_flow append_text(void* user_data, const char* text, size_t text_bytes) {
  strncat((char*)user_data, text, text_bytes);
  return ELMS_CONTINUE;
}

static elms_code generate(elms_session* session, const char* prompt, int32_t max_tokens, answer_in_c* out, elms_error* error) {
  elms_generate_options options = {.struct_size = sizeof options};
  elms_answer* answer = NULL;
  elms_code code;
  options.max_tokens = max_tokens;
  options.on_text = append_text;
  options.user_data = out->streamed;
  code = elms_generate(session, prompt, strlen(prompt), &options, &answer, error);
  if (code != ELMS_OK) return code;
  strncpy(out->text, elms_answer_text(answer), sizeof out->text - 1);
  out->finish = elms_answer_finish(answer);
  out->n_tokens = elms_answer_n_tokens(answer);
  elms_answer_free(answer);
  return ELMS_OK;
}

elms_code run_answer_in_c(const char* model_path, double width, const char* prompt, int32_t max_tokens, answer_in_c* answer,
                          elms_error* error) {
  elms_open_options open = {.struct_size = sizeof open};
  elms_session_options options = {.struct_size = sizeof options};
  elms_model* model = NULL;
  elms_session* session = NULL;
  elms_code code;
  memset(answer, 0, sizeof *answer);
  open.n_threads = 1;
  code = elms_model_open(model_path, &open, &model, error);
  if (code == ELMS_OK) code = elms_session_create(model, &options, &session, error);
  elms_model_close(model); /* the session keeps it */
  if (code == ELMS_OK) {
    elms_session_set_width(session, width);
    answer->width = elms_session_width(session);
    code = generate(session, prompt, max_tokens, answer, error);
  }
  elms_session_free(session);
  return code;
}
