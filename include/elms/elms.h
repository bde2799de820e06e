/* elms from C, and from every language that calls C: the device part behind opaque handles.
 *
 * Errors. A function that can fail returns an elms_code, ELMS_OK being 0, and fills *error, where the caller gave one,
 * with a sentence that names what was expected and what was found. Nothing throws, ends or prints. What a function
 * failed to make is left as NULL; what it was given is unchanged.
 *
 * Structs that callers fill begin with struct_size = sizeof the struct; every other field of value 0 means its default:
 *     elms_session_options options = {.struct_size = sizeof options};
 *     options.context_tokens = 2048;
 * A library that knows more fields than its caller takes the rest as 0; one that knows fewer refuses a struct whose
 * further bytes are not 0. NULL for options means all defaults.
 *
 * Handles. A model, a tokenizer's work and a cancel token may be used by any number of threads; a session by one at a
 * time. Handles made from others keep those alive: a model may be closed while sessions still use it. Closing NULL does
 * nothing.
 *
 * Texts are UTF-8 with a length in bytes, not ended by 0 unless said so.
 */
#ifndef ELMS_ELMS_H_
#define ELMS_ELMS_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Values of elms::StatusCode; new ones are added at the end. */
typedef enum elms_code {
  ELMS_OK = 0,
  ELMS_INVALID_ARGUMENT = 1, /* the caller passed something that can never work */
  ELMS_NOT_FOUND = 2,        /* a file, key, tensor or level does not exist */
  ELMS_IO_ERROR = 3,         /* the operating system refused to read or write */
  ELMS_MALFORMED_FILE = 4,   /* the bytes of a file contradict its format */
  ELMS_UNSUPPORTED = 5,      /* valid, but elms cannot run it */
  ELMS_OUT_OF_MEMORY = 6,
  ELMS_OUT_OF_CONTEXT = 7, /* the session has no room for the tokens */
  ELMS_CANCELLED = 8,      /* a cancel token or a callback asked to stop */
  ELMS_INTERNAL = 9,       /* a broken invariant inside elms: please report it */
  ELMS_UNAVAILABLE = 10    /* not now: a queue is full, or no strategy meets the targets */
} elms_code;

/* Name of a code in words; static storage, never NULL. */
const char* elms_code_name(elms_code code);

/* Version of the library as "major.minor.patch"; static storage. */
const char* elms_version(void);

/* The caller's room for a failure. The message ends with 0 and is cut to fit, never inside a UTF-8 character. */
typedef struct elms_error {
  elms_code code;
  char message[508];
} elms_error;

typedef struct elms_model elms_model;
typedef struct elms_session elms_session;
typedef struct elms_cancel elms_cancel;
typedef struct elms_answer elms_answer;

/* ---- cancelling ---- */

/* A flag that any thread may set to stop the work that was given it, within a layer of a batch. NULL without memory. */
elms_cancel* elms_cancel_create(void);
void elms_cancel_set(elms_cancel* cancel);
void elms_cancel_reset(elms_cancel* cancel); /* makes it usable again */
void elms_cancel_free(elms_cancel* cancel);  /* not while work runs that was given it */

/* ---- models ---- */

typedef struct elms_open_options {
  size_t struct_size;
  uint32_t n_threads;        /* that pack weights and compute; 0: one for each fast core */
  int32_t without_adapters;  /* not 0: levels are the bare slices, without what recovered them */
  int32_t ignore_pack_cache; /* not 0: a pack cache beside the model is not used */
} elms_open_options;

/* Opens a GGUF file or a Hugging Face directory; `path` ends with 0. */
elms_code elms_model_open(const char* path, const elms_open_options* options, elms_model** model, elms_error* error);
void elms_model_close(elms_model* model);

int32_t elms_model_n_levels(const elms_model* model); /* at least 1; ascending, the last one is the full model */
/* Share of the full model's weight bytes that a token reads at this level; 0 where there is no such level. */
double elms_model_level_width(const elms_model* model, int32_t level);
/* The widest level that costs at most `width`, or the narrowest one. */
int32_t elms_model_level_for_width(const elms_model* model, double width);
int32_t elms_model_n_vocab(const elms_model* model);
int32_t elms_model_context_tokens(const elms_model* model); /* that it was trained for */

/* ---- tokens ---- */

typedef struct elms_tokenize_options {
  size_t struct_size;
  int32_t without_special; /* not 0: no BOS or EOS is added */
  int32_t parse_special;   /* not 0: "<|im_end|>" becomes the control token; never for texts of users */
} elms_tokenize_options;

/* Writes at most `capacity` tokens and sets *n_tokens to how many the text has, so that a call with capacity 0 asks for
 * the size. More tokens than capacity: ELMS_INVALID_ARGUMENT when capacity is not 0. ELMS_NOT_FOUND: no vocabulary. */
elms_code elms_tokenize(const elms_model* model, const char* text, size_t text_bytes, const elms_tokenize_options* options,
                        int32_t* tokens, size_t capacity, size_t* n_tokens, elms_error* error);

/* Likewise from tokens to text; well-formed UTF-8, no 0 at its end. */
elms_code elms_detokenize(const elms_model* model, const int32_t* tokens, size_t n_tokens, char* text, size_t capacity,
                          size_t* text_bytes, elms_error* error);

/* ---- sessions: one conversation each ---- */

typedef struct elms_session_options {
  size_t struct_size;
  int32_t context_tokens; /* capacity; 0: what the model was trained for */
  int32_t batch_tokens;   /* prefill runs in batches of at most this many tokens; 0: 512 */
  double width;           /* initial; 0: full */
  int32_t kv_int8;        /* not 0: half the memory of keys and values, at a small loss of precision */
} elms_session_options;

/* All memory of a session is taken here. */
elms_code elms_session_create(const elms_model* model, const elms_session_options* options, elms_session** session,
                              elms_error* error);
void elms_session_free(elms_session* session);

/* The width (0, 1] from the next token on, between any two tokens: writes a few integers. Returns the level in use. */
int32_t elms_session_set_width(elms_session* session, double width);
double elms_session_width(const elms_session* session); /* real cost share of the level in use */

/* See elms::SamplerOptions; all 0 is greedy, with no filter and no penalty. */
typedef struct elms_sampling {
  size_t struct_size;
  float temperature;
  int32_t top_k;            /* 0: all */
  float top_p;              /* 0: all */
  float min_p;              /* 0: all */
  float repetition_penalty; /* 0: none */
  int32_t repetition_window;
  uint64_t seed;
} elms_sampling;
elms_code elms_session_set_sampling(elms_session* session, const elms_sampling* sampling, elms_error* error);

/* Appends tokens and computes them. On failure the session is as before the batch that failed. */
elms_code elms_session_prefill(elms_session* session, const int32_t* tokens, size_t n_tokens, const elms_cancel* cancel,
                               elms_error* error);
/* Samples the next token, which the next call evaluates. */
elms_code elms_session_decode(elms_session* session, const elms_cancel* cancel, int32_t* token, elms_error* error);
/* Logits after the last evaluated token, [n_vocab], valid until the next call on this session; NULL before the first. */
const float* elms_session_logits(const elms_session* session);
int32_t elms_session_position(const elms_session* session); /* tokens in the cache */
elms_code elms_session_rewind(elms_session* session, int32_t n_tokens, elms_error* error); /* keeps the first n */
void elms_session_reset(elms_session* session);

/* ---- answers ---- */

typedef enum elms_flow { ELMS_CONTINUE = 0, ELMS_STOP = 1 } elms_flow;

/* Gets the text piece by piece, in whole UTF-8 characters, on the calling thread. */
typedef elms_flow (*elms_on_text)(void* user_data, const char* text, size_t text_bytes);

typedef struct elms_generate_options {
  size_t struct_size;
  int32_t max_tokens;      /* 0: 256; negative: none, the prompt is only computed */
  const char* const* stop; /* texts that end the answer, each ended by 0; not part of it */
  size_t n_stop;
  const elms_cancel* cancel;
  elms_on_text on_text; /* may be NULL */
  void* user_data;
} elms_generate_options;

typedef enum elms_finish {
  ELMS_FINISH_END_OF_GENERATION = 0,
  ELMS_FINISH_STOP_STRING = 1,
  ELMS_FINISH_MAX_TOKENS = 2,
  ELMS_FINISH_CALLBACK = 3,
  ELMS_FINISH_CANCELLED = 4,
  ELMS_FINISH_CONTEXT_FULL = 5,
  ELMS_FINISH_DEADLINE = 6, /* this one and the next two: only of a service */
  ELMS_FINISH_REJECTED = 7,
  ELMS_FINISH_ERROR = 8
} elms_finish;

/* Appends the prompt to the session and generates with its width and sampling. Being cancelled, or filling the context,
 * is no failure: the answer has the text so far. A next call carries on from here. */
elms_code elms_generate(elms_session* session, const char* prompt, size_t prompt_bytes, const elms_generate_options* options,
                        elms_answer** answer, elms_error* error);

const char* elms_answer_text(const elms_answer* answer); /* ended by 0; valid while the answer is */
size_t elms_answer_text_bytes(const elms_answer* answer);
int32_t elms_answer_n_tokens(const elms_answer* answer);
elms_finish elms_answer_finish(const elms_answer* answer);
double elms_answer_ttft_ms(const elms_answer* answer); /* to the first token; 0 without tokens */
double elms_answer_tpot_ms(const elms_answer* answer); /* of each later token; 0 with fewer than two */
void elms_answer_free(elms_answer* answer);

#ifdef __cplusplus
}
#endif

#endif /* ELMS_ELMS_H_ */
