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
 * further bytes are not 0. A struct_size that cannot be one (0, or not a multiple of a pointer's size) is refused.
 * NULL for options means all defaults. The elements of an array of structs all have the same struct_size, which is the
 * step from one to the next. Structs that elms fills begin with struct_size likewise, set by the caller: elms writes
 * no further than that, and 0 into fields that it does not know.
 *
 * Handles. A session is used by one thread at a time; everything else by any number of them, but freeing, which waits
 * for nothing: free a handle when no call uses it. Handles made from others keep those alive: a model may be closed while
 * sessions still use it. Closing NULL does nothing.
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
typedef struct elms_refiner elms_refiner;
typedef struct elms_refined elms_refined;
typedef struct elms_profile elms_profile;
typedef struct elms_planner elms_planner;
typedef struct elms_service elms_service;

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

/* ---- prompts in parts, for the refiner and the service ---- */

typedef enum elms_role {
  ELMS_ROLE_OTHER = 0,
  ELMS_ROLE_SYSTEM = 1,   /* instructions */
  ELMS_ROLE_CONTEXT = 2,  /* what the answer is drawn from: documents, screens, history */
  ELMS_ROLE_QUESTION = 3, /* what the user asks: kept byte for byte, whatever `compressible` says */
  ELMS_ROLE_TEMPLATE = 4  /* markers of a chat template: likewise */
} elms_role;

/* One part of a prompt, which is the texts of its parts one after the other with nothing in between. */
typedef struct elms_segment {
  size_t struct_size;
  const char* text;
  size_t text_bytes;
  int32_t role;         /* an elms_role */
  int32_t compressible; /* not 0: may lose words */
  double keep_ratio;    /* share of its own tokens that stay at most, (0, 1]; 0: no limit of its own; negative: none stay */
} elms_segment;

/* ---- refiner: prompts cut to a budget by the importance of their words ---- */

typedef struct elms_refiner_options {
  size_t struct_size;
  uint32_t n_threads; /* 0: one for each fast core */
} elms_refiner_options;

/* Opens the GGUF file of an encoder with a score head, a decision head, or both; `path` ends with 0. */
elms_code elms_refiner_open(const char* path, const elms_refiner_options* options, elms_refiner** refiner, elms_error* error);
void elms_refiner_close(elms_refiner* refiner);
int32_t elms_refiner_can_refine(const elms_refiner* refiner); /* 1: it has a score head */
int32_t elms_refiner_can_decide(const elms_refiner* refiner); /* 1: a service's plans hear its judgement of strategies */

/* What becomes of all words of one kind; see elms::Guard. */
typedef enum elms_guard {
  ELMS_GUARD_DEFAULT = 0,
  ELMS_GUARD_KEEP = 1,   /* always kept; where that does not fit into the budget, refining fails */
  ELMS_GUARD_PREFER = 2, /* kept before any ordinary word */
  ELMS_GUARD_WHOLE = 3,  /* kept or dropped whole, by its score */
  ELMS_GUARD_OFF = 4     /* its text is words like any other */
} elms_guard;

/* Whole parts that go before words do; see elms::RefineFilter. */
typedef enum elms_filter {
  ELMS_FILTER_QUESTION = 0,  /* lines and sentences that have least in common with the question */
  ELMS_FILTER_NONE = 1,      /* words only */
  ELMS_FILTER_SENTENCES = 2, /* by the mean score of their words */
  ELMS_FILTER_SEGMENTS = 3
} elms_filter;

typedef struct elms_refine_options {
  size_t struct_size;
  double keep_ratio;               /* budget: at most this share of the prompt's tokens, (0, 1] */
  int64_t max_tokens;              /* or at most so many; neither given: a keep ratio of 0.5 */
  const char* const* force_tokens; /* words and marks that are kept before others, each ended by 0 */
  size_t n_force_tokens;
  const char* const* chunk_end_tokens; /* what a text longer than the encoder takes may be cut after; none: windows overlap */
  size_t n_chunk_end_tokens;
  int32_t keep_digits;       /* not 0: words with a digit are kept before others */
  int32_t drop_consecutive;  /* not 0: of equal marks that come to stand side by side one stays */
  int32_t strict_protection; /* not 0: what was to be kept before others and does not fit is an error */
  int32_t protect_last_line; /* not 0: the last line is the question */
  int32_t filter;            /* an elms_filter */
  int32_t markers;           /* an elms_guard, as the next four; ELMS_GUARD_DEFAULT: KEEP */
  int32_t json;              /* KEEP */
  int32_t code;              /* KEEP */
  int32_t urls;              /* PREFER */
  int32_t numbers;           /* PREFER */
  double filter_keep_ratio;  /* share of the bytes that survives the filter; 0: what suits the budget */
  int32_t without_special;   /* not 0: the budget counts no BOS or EOS */
} elms_refine_options;

/* Cuts a prompt to a budget in the tokens of `target`. What is protected stays byte for byte; the rest loses words whole.
 * ELMS_INVALID_ARGUMENT where what is protected alone is over the budget, with both numbers; ELMS_UNSUPPORTED without a
 * score head. */
elms_code elms_refiner_refine(const elms_refiner* refiner, const elms_model* target, const elms_segment* prompt,
                              size_t n_segments, const elms_refine_options* options, const elms_cancel* cancel,
                              elms_refined** refined, elms_error* error);
void elms_refined_free(elms_refined* refined);

/* Bytes [begin, end) of the prompt as it was. */
typedef struct elms_span {
  size_t begin;
  size_t end;
} elms_span;

/* All of these are valid while `refined` is. Texts are ended by 0. */
const char* elms_refined_text(const elms_refined* refined);
size_t elms_refined_text_bytes(const elms_refined* refined);
/* What is left of a segment, maybe nothing; NULL where there is no such segment. *text_bytes may be NULL. */
const char* elms_refined_segment(const elms_refined* refined, size_t segment, size_t* text_bytes);
/* The spans that the text is made of, ascending and apart from each other. */
const elms_span* elms_refined_spans(const elms_refined* refined, size_t* n_spans);
/* Where the byte at `offset` of the text stands in the prompt. */
size_t elms_refined_source_offset(const elms_refined* refined, size_t offset);
size_t elms_refined_tokens_before(const elms_refined* refined);
size_t elms_refined_tokens_after(const elms_refined* refined); /* never above the budget */
size_t elms_refined_budget_tokens(const elms_refined* refined);

/* ---- device profiles: how fast a model runs here ---- */

/* Reads what `elms calibrate` or elms_profile_save wrote; `path` ends with 0. ELMS_NOT_FOUND for no file;
 * ELMS_MALFORMED_FILE for what is no profile. */
elms_code elms_profile_load(const char* path, elms_profile** profile, elms_error* error);
/* The same from the file's text. */
elms_code elms_profile_parse(const char* json, size_t json_bytes, elms_profile** profile, elms_error* error);

/* Told the share that is done, 0 .. 1, on the calling thread. ELMS_STOP ends the work with ELMS_CANCELLED. */
typedef elms_flow (*elms_on_progress)(void* user_data, double fraction);

typedef struct elms_calibrate_options {
  size_t struct_size;
  double seconds;       /* to spend; 0: 15. One round is always finished */
  int32_t kv_int8;      /* of the sessions to come */
  int32_t batch_tokens; /* likewise; 0: 512 */
  int32_t max_tokens;   /* longest prompt and context to time; 0: 512 */
  elms_on_progress on_progress;
  void* user_data;
  const elms_refiner* refiner; /* timed too; NULL: its time stays a guess that requests correct */
} elms_calibrate_options;

/* Times prefill and decode of a model on this device, for which it takes the memory of three sessions. Do it once, while
 * nothing else runs, and keep what it gives: a profile is good for the same model file, CPU and build of elms. */
elms_code elms_profile_calibrate(const elms_model* model, const elms_calibrate_options* options, elms_profile** profile,
                                 elms_error* error);
elms_code elms_profile_save(const elms_profile* profile, const char* path, elms_error* error);
/* Its JSON, ended by 0, valid while the profile is. *json_bytes may be NULL. */
const char* elms_profile_json(const elms_profile* profile, size_t* json_bytes);
void elms_profile_free(elms_profile* profile);

/* ---- planner: the width and keep ratio that meet a request's targets ---- */

typedef struct elms_planner_options {
  size_t struct_size;
  const elms_profile* profile; /* NULL, or foreign: the first plan times a few tokens. Copied */
  int32_t without_probe;       /* not 0: it times nothing and guesses, until requests have taught it */
  int32_t without_learning;    /* not 0: elms_planner_observe does nothing */
  uint32_t n_threads;          /* of the sessions; 0: the model's */
  int32_t kv_int8;             /* of the sessions */
  const double* keep_ratios;   /* to choose from, (0, 1]; none: 0.1, 0.2 ... 1 */
  size_t n_keep_ratios;
} elms_planner_options;

elms_code elms_planner_create(const elms_model* model, const elms_planner_options* options, elms_planner** planner,
                              elms_error* error);
void elms_planner_free(elms_planner* planner);

/* Tokens are the model's own. */
typedef struct elms_plan_request {
  size_t struct_size;
  int32_t n_protected_tokens;    /* of the whole prompt: what is never shortened */
  int32_t n_compressible_tokens; /* of the whole prompt: what a keep ratio applies to */
  int32_t n_cached_tokens;       /* prompt tokens that the session holds already, a prefix */
  int32_t n_cached_compressible_tokens; /* those of them that are compressible */
  int32_t n_cached_head_tokens;         /* those of them before the first compressible one */
  int32_t n_output_tokens;              /* expected of the answer; 0: 64 */
  int32_t context_tokens;               /* of the session; 0: the model's */
  int32_t without_refiner;              /* not 0: only the whole prompt */
  double ttft_ms;                       /* targets; 0: none */
  double tpot_ms;
  double ttft_share; /* instead: shares of what the full model takes for the whole prompt, (0, 1]; 0 and 0: not used */
  double tpot_share;
  double elapsed_ms;   /* of the TTFT target: what is over already */
  double confidence;   /* chance that a predicted time with its margin is kept, [0.5, 0.9999]; 0: 0.99 */
  int32_t best_effort; /* not 0: where nothing is in time, what is worth most for its lateness is accepted */
} elms_plan_request;

/* What to run, and what that is expected to take. */
typedef struct elms_plan {
  size_t struct_size;
  int32_t level;
  int32_t feasible;        /* 1: both targets are met at the asked confidence */
  int32_t accepted;        /* 1: feasible, or best effort was asked for; 0: the rest only shows the least overshoot */
  int32_t reuse_cache;     /* 1: the cached prefix stays as it is, and only what follows is shortened */
  double width;            /* cost share of the level */
  double keep_ratio;       /* share of the compressible tokens that stay */
  double ttft_ms;          /* predicted, elapsed_ms included */
  double tpot_ms;
  double ttft_margin_ms;   /* to be added for the asked confidence */
  double tpot_margin_ms;
  double ttft_target_ms;   /* in milliseconds also where shares were asked; infinite: none */
  double tpot_target_ms;
  double expected_quality; /* chance of a right answer, as far as it is known */
  int32_t n_keep_tokens;   /* compressible tokens that stay */
  int32_t n_prefill_tokens; /* to compute */
  int32_t n_reused_tokens;  /* from the cache */
  int32_t n_refine_words;   /* that the refiner reads */
  char reason[512];         /* in words, ended by 0, cut to fit */
} elms_plan;

/* Takes some 10 microseconds; the first one without a profile a second or so. A request that cannot be met is no failure:
 * the plan says so. Fails with ELMS_INVALID_ARGUMENT for negative or contradictory targets, and fills no plan then. */
elms_code elms_planner_plan(const elms_planner* planner, const elms_plan_request* request, elms_plan* plan, elms_error* error);

/* What a request really took; phases without a count are left out. A service tells its planner by itself. */
typedef struct elms_observation {
  size_t struct_size;
  int32_t level;
  int32_t n_refine_words;
  double refine_ms;
  int32_t n_prefill_tokens; /* computed */
  int32_t n_cached_tokens;  /* in the cache before */
  double prefill_ms;        /* to the first token, refiner and queue not included */
  int32_t n_decoded_tokens; /* after the first */
  int32_t context_tokens;   /* position of the first of them */
  double decode_ms;         /* of all of them */
  int32_t n_cut_words;      /* that were chosen from without the refiner, or with scores that it gave before */
  double cut_ms;
} elms_observation;
elms_code elms_planner_observe(elms_planner* planner, const elms_observation* observation, elms_error* error);
void elms_planner_forget(elms_planner* planner); /* what was observed */

/* Where predictions come from, and why a profile was not used. Writes as elms_detokenize does. */
elms_code elms_planner_note(const elms_planner* planner, char* text, size_t capacity, size_t* text_bytes, elms_error* error);

/* ---- service: requests with targets ---- */

typedef enum elms_reuse {
  ELMS_REUSE_WIDER = 0,      /* cached tokens of the same or a wider level are used again */
  ELMS_REUSE_SAME_LEVEL = 1, /* only of the same level: every answer is the one that its request would get alone */
  ELMS_REUSE_OFF = 2
} elms_reuse;

typedef struct elms_service_options {
  size_t struct_size;
  const elms_refiner* refiner; /* NULL: prompts are only shortened by their question */
  const elms_planner* planner; /* shared with the service, which teaches it; NULL: one of the service's own */
  const elms_profile* profile; /* for the service's own planner; NULL: it times a few tokens at the first request */
  int32_t n_sessions;          /* conversations that stay warm, a KV cache each; 0: 2, or max_running where that is more; at most 1024 */
  int32_t max_running;         /* requests that compute at the same time; 0: 1 */
  int32_t max_queued;          /* that wait at most, beyond which a call is ELMS_UNAVAILABLE; 0: 64, negative: none */
  int32_t context_tokens;      /* of each session; 0: what the model was trained for */
  int32_t batch_tokens;        /* 0: 512 */
  int32_t kv_int8;
  int32_t reuse;               /* an elms_reuse */
  int32_t fixed_width;         /* not 0: the width stays while an answer is decoded, however late its tokens are */
  int32_t without_learning;    /* not 0: the planner is not told what requests took */
  const elms_refine_options* refine; /* how prompts are shortened; its budget must be 0: the planner chooses that */
} elms_service_options;

elms_code elms_service_create(const elms_model* model, const elms_service_options* options, elms_service** service,
                              elms_error* error);
void elms_service_free(elms_service* service);

/* A turn of a conversation, for the model's chat template. */
typedef struct elms_message {
  size_t struct_size;
  const char* role;            /* "system", "user", "assistant", or what else the template knows; ended by 0 */
  const elms_segment* content; /* one text after the other */
  size_t n_content;
} elms_message;

/* A prompt in segments, or messages: one of the two. */
typedef struct elms_request {
  size_t struct_size;
  const elms_segment* prompt;
  size_t n_prompt;
  const elms_message* messages;
  size_t n_messages;
  double ttft_ms; /* targets, from the call on; 0: none */
  double tpot_ms;
  double ttft_share; /* instead, as in elms_plan_request */
  double tpot_share;
  double confidence;             /* 0: 0.99 */
  int32_t reject_infeasible;     /* not 0: what cannot be in time is ELMS_FINISH_REJECTED; 0: it is done as fast as can be */
  int32_t max_tokens;            /* 0: 256; negative: none */
  int32_t expected_tokens;       /* of the answer, for planning; 0: 64 */
  int32_t priority;              /* higher ones go first */
  double deadline_ms;            /* from the call to the end of the answer; 0: none */
  const elms_sampling* sampling; /* NULL: greedy */
  const char* const* stop;       /* texts that end the answer, each ended by 0 */
  size_t n_stop;
  const elms_cancel* cancel;
  elms_on_text on_text; /* may be NULL; must not call the service */
  void* user_data;
  double width;      /* not 0: the widest level of at most this width, instead of the planner's choice */
  double keep_ratio; /* not 0: likewise, (0, 1] */
} elms_request;

/* Blocks until the answer is complete, and computes on the calling thread and the model's. Being cancelled, late or
 * rejected is no failure: elms_answer_finish says so, with the text so far. Any number of threads may call. Fails before any
 * text with ELMS_UNAVAILABLE (too many requests wait), ELMS_OUT_OF_CONTEXT (the prompt does not fit), ELMS_NOT_FOUND and
 * ELMS_UNSUPPORTED (messages for a model without a chat template that elms knows), ELMS_INVALID_ARGUMENT (the request can
 * never work). */
elms_code elms_service_generate(elms_service* service, const elms_request* request, elms_answer** answer, elms_error* error);

/* Another handle on the service's planner. */
elms_code elms_service_planner(const elms_service* service, elms_planner** planner, elms_error* error);

typedef struct elms_service_status {
  size_t struct_size;
  int32_t n_running;
  int32_t n_queued;
  uint64_t n_answered; /* calls that came back with an answer */
  size_t kv_bytes;     /* of all sessions */
} elms_service_status;
elms_code elms_service_get_status(const elms_service* service, elms_service_status* status, elms_error* error);

/* Milliseconds; phases that did not happen are 0. */
typedef struct elms_times {
  size_t struct_size;
  double queue_ms;
  double refine_ms;
  double plan_ms;
  double prefill_ms;
  double ttft_ms;
  double tpot_ms;
  double total_ms;
} elms_times;

/* More of an answer, where it is a service's; one of elms_generate has no plan and no counts: ELMS_NOT_FOUND, 0, "". */
elms_code elms_answer_plan(const elms_answer* answer, elms_plan* plan, elms_error* error);
elms_code elms_answer_times(const elms_answer* answer, elms_times* times, elms_error* error);
int32_t elms_answer_n_prompt_tokens(const elms_answer* answer);   /* as run, after words were cut */
int32_t elms_answer_n_original_tokens(const elms_answer* answer); /* before */
int32_t elms_answer_n_reused_tokens(const elms_answer* answer);   /* of the prompt, from a session's cache */
int32_t elms_answer_n_level_changes(const elms_answer* answer);   /* while it was decoded */
/* Where words were cut: what was run. Ended by 0; valid while the answer is. */
const char* elms_answer_refined_prompt(const elms_answer* answer);
/* What went wrong where the answer ended with ELMS_FINISH_ERROR; otherwise ELMS_OK. */
elms_code elms_answer_status(const elms_answer* answer, elms_error* error);

#ifdef __cplusplus
}
#endif

#endif /* ELMS_ELMS_H_ */
