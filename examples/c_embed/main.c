/* elms in a C program: c_embed MODEL.gguf [PROMPT]
 * One session answers twice, at full width and at the narrowest, and Ctrl-C stops an answer. */
#include <elms/elms.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>

static elms_cancel* stop_answer;

static void on_interrupt(int number) {
  (void)number;
  elms_cancel_set(stop_answer); /* one relaxed store: safe in a signal handler */
}

static elms_flow print_text(void* user_data, const char* text, size_t text_bytes) {
  (void)user_data;
  fwrite(text, 1, text_bytes, stdout);
  fflush(stdout);
  return ELMS_CONTINUE;
}

static int fail(const elms_error* error) {
  fprintf(stderr, "c_embed: %s: %s\n", elms_code_name(error->code), error->message);
  return 1;
}

static int answer_at(elms_session* session, double width, const char* prompt) {
  elms_generate_options options = {.struct_size = sizeof options};
  elms_answer* answer = NULL;
  elms_error error;
  options.max_tokens = 48;
  options.cancel = stop_answer;
  options.on_text = print_text;

  elms_session_reset(session);
  elms_session_set_width(session, width);
  printf("%s", prompt);
  if (elms_generate(session, prompt, strlen(prompt), &options, &answer, &error) != ELMS_OK) return fail(&error);
  printf("\n[width %.2f: first token after %.1f ms, then %.2f ms each]\n\n", elms_session_width(session),
         elms_answer_ttft_ms(answer), elms_answer_tpot_ms(answer));
  elms_answer_free(answer);
  return 0;
}

int main(int argc, char** argv) {
  const char* prompt = argc > 2 ? argv[2] : "Once upon a time";
  elms_model* model = NULL;
  elms_session* session = NULL;
  elms_error error;
  int result;
  if (argc < 2) {
    fprintf(stderr, "usage: c_embed MODEL.gguf [PROMPT]\n");
    return 2;
  }
  stop_answer = elms_cancel_create();
  if (stop_answer == NULL) return 1;
  signal(SIGINT, on_interrupt);

  if (elms_model_open(argv[1], NULL, &model, &error) != ELMS_OK) return fail(&error);
  if (elms_session_create(model, NULL, &session, &error) != ELMS_OK) return fail(&error);
  result = answer_at(session, 1.0, prompt);
  if (result == 0) result = answer_at(session, elms_model_level_width(model, 0), prompt);
  elms_session_free(session);
  elms_model_close(model);
  elms_cancel_free(stop_answer);
  return result;
}
