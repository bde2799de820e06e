/* The least that a host in C does. */
#include <elms/elms.h>
#include <stdio.h>

int main(void) {
  elms_model* model = NULL;
  elms_error error;
  const elms_code code = elms_model_open("absent.gguf", NULL, &model, &error);
  printf("elms %s: %s\n", elms_version(), error.message);
  return code == ELMS_NOT_FOUND && model == NULL ? 0 : 1;
}
