/* A program in C99 as far as it needs elms, for the C++ test to call and to compare with. */
#ifndef ELMS_TEST_ANSWER_IN_C_H_
#define ELMS_TEST_ANSWER_IN_C_H_

#include "elms/elms.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct answer_in_c {
  char text[2048];
  char streamed[2048]; /* what the callback got */
  double width;
  elms_finish finish;
  int32_t n_tokens;
} answer_in_c;

/* Opens the model, generates greedily at `width`, and closes everything. */
elms_code run_answer_in_c(const char* model_path, double width, const char* prompt, int32_t max_tokens, answer_in_c* answer,
                          elms_error* error);

#ifdef __cplusplus
}
#endif

#endif
