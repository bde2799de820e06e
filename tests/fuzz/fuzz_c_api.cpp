// Calls of elms.h in any order with any arguments, two handles of each kind. Whatever is open at the end is
// freed, so that what a leak checker finds is the library's.
#include <array>
#include <iterator>

#include "elms/elms.h"
#include "tests/fuzz/c_api_values.hpp"
#include "tests/fuzz/fuzz_targets.hpp"
#include "tests/fuzz/scratch_file.hpp"

namespace {

using elms_test::FuzzReader;
using elms_test::require;
using elms_test::Roomy;

/// Two handles of this input's own, one that all inputs share, where there is one, and null.
template <typename Handle, void (*kFree)(Handle*)>
class Slots {
 public:
  explicit Slots(Handle* shared = nullptr) : handles_{nullptr, nullptr, shared, nullptr} {}
  Slots(const Slots&) = delete;
  Slots& operator=(const Slots&) = delete;
  ~Slots() {
    free(0);
    free(1);
  }
  Handle* get(std::uint8_t which) const { return handles_[which % 4]; }
  /// Room for a handle, with what it held freed.
  Handle** room(std::uint8_t which) {
    free(which);
    return &handles_[which % 2];
  }
  void free(std::uint8_t which) {
    kFree(handles_[which % 2]);
    handles_[which % 2] = nullptr;
  }

 private:
  std::array<Handle*, 4> handles_;
};

const std::string& folder_file(const char* name) {
  static elms_test::ScratchFolder folder;
  static const std::string model =
      folder.write("model.gguf", elms_test::read_corpus_file("model_file/chat.gguf"));
  static const std::string refiner =
      folder.write("refiner.gguf", elms_test::read_corpus_file("refiner_file/refiner.gguf"));
  static const std::string none = "/nowhere/model.gguf";
  return name[0] == 'm' ? model : name[0] == 'r' ? refiner : none;
}

elms_model* shared_model() {
  static elms_model* const model = [] {
    Roomy<elms_open_options> options;
    options.value = {
        .struct_size = sizeof options.value, .n_threads = 1, .without_adapters = 0, .ignore_pack_cache = 0};
    elms_model* opened = nullptr;
    require(elms_model_open(folder_file("model").c_str(), &options.value, &opened, nullptr) == ELMS_OK,
            "the model opens");
    return opened;
  }();
  return model;
}
elms_refiner* shared_refiner() {
  static elms_refiner* const refiner = [] {
    const elms_refiner_options options = {.struct_size = sizeof options, .n_threads = 1};
    elms_refiner* opened = nullptr;
    require(elms_refiner_open(folder_file("refiner").c_str(), &options, &opened, nullptr) == ELMS_OK,
            "the refiner opens");
    return opened;
  }();
  return refiner;
}

/// One input's calls.
class Calls {
 public:
  explicit Calls(elms_test::FuzzBytes bytes) : in_(bytes), values_(in_) {}

  void run() {
    using Call = void (Calls::*)();
    constexpr Call kCalls[] = {
        &Calls::open_model,     &Calls::close,          &Calls::ask_model,   &Calls::tokenize,
        &Calls::create_session, &Calls::set_session,    &Calls::prefill,     &Calls::decode,
        &Calls::move_session,   &Calls::generate,       &Calls::ask_answer,  &Calls::set_cancel,
        &Calls::open_refiner,   &Calls::refine,         &Calls::ask_refined, &Calls::make_profile,
        &Calls::calibrate,      &Calls::create_planner, &Calls::plan,        &Calls::observe,
        &Calls::create_service, &Calls::serve,          &Calls::ask_service, &Calls::prefill,
        &Calls::decode,         &Calls::generate,       &Calls::serve,       &Calls::refine};
    for (int n = 0; !in_.done() && n < 48; ++n) {
      (this->*kCalls[in_.byte() % std::size(kCalls)])();
    }
  }

 private:
  /// What a call answered must be a code, with a message for a failure, and nothing made by it.
  template <typename Handle>
  void check(elms_code code, const Handle* made) {
    check(code);
    require((code == ELMS_OK) == (made != nullptr), "a failure makes nothing, a success something");
  }
  void check(elms_code code) {
    require(code >= ELMS_OK && code <= ELMS_UNAVAILABLE && code != ELMS_INTERNAL,
            "a code is known, and not a broken invariant");
    require(std::memchr(error_.message, 0, sizeof error_.message) != nullptr, "a message ends");
    require(code == ELMS_OK || elms_code_name(code)[0] != '\0', "a code has a name");
    error_ = {};
  }
  elms_error* error() { return in_.byte() % 16 == 0 ? nullptr : &error_; }
  const elms_cancel* cancel() { return cancels_.get(in_.byte()); }

  void open_model() {
    if (++n_opened_ > 1) return;
    const char* path = folder_file(in_.byte() % 16 == 0 ? "none" : "model").c_str();
    Roomy<elms_open_options> options;
    options.value.n_threads = in_.byte() == 255 ? 100000 : 1;
    options.value.without_adapters = in_.byte() & 1;
    options.value.ignore_pack_cache = in_.byte() & 1;
    const elms_open_options* given = values_.sized(options);
    if (given == nullptr) given = &options.value;  // all defaults would start threads
    elms_model** room = in_.byte() == 255 ? nullptr : models_.room(in_.byte());
    elms_error* error = this->error();
    const elms_code code = elms_model_open(in_.byte() == 255 ? nullptr : path, given, room, error);
    if (room != nullptr) check(code, *room);
  }
  void close() {
    const std::uint8_t which = in_.byte();
    switch (in_.byte() % 9) {
      case 0:
        return models_.free(which);
      case 1:
        return sessions_.free(which);
      case 2:
        return answers_.free(which);
      case 3:
        return refiners_.free(which);
      case 4:
        return refined_.free(which);
      case 5:
        return profiles_.free(which);
      case 6:
        return planners_.free(which);
      case 7:
        return services_.free(which);
      default:
        return cancels_.free(which);
    }
  }
  void ask_model() {
    const elms_model* model = models_.get(in_.byte());
    const std::int32_t level = values_.integer();
    const double width = values_.real();
    require(elms_version()[0] != '\0', "there is a version");
    const std::int32_t n = elms_model_n_levels(model);
    require((n > 0) == (model != nullptr), "a model has levels");
    require((elms_model_level_width(model, level) > 0.0) == (level >= 0 && level < n), "a level has a width");
    const std::int32_t chosen = elms_model_level_for_width(model, width);
    require(model == nullptr || (chosen >= 0 && chosen < n), "a level for a width is one of the model");
    require((elms_model_n_vocab(model) > 0) == (model != nullptr), "a model has tokens");
    require((elms_model_context_tokens(model) > 0) == (model != nullptr), "a model has a context");
  }
  void tokenize() {
    const elms_model* model = models_.get(in_.byte());
    Roomy<elms_tokenize_options> options;
    options.value.without_special = in_.byte() & 1;
    options.value.parse_special = in_.byte() & 1;
    const std::string_view text = values_.text();
    std::array<std::int32_t, 64> tokens{};
    const std::size_t capacity = in_.byte() % 65;
    std::size_t n = 0;
    const elms_tokenize_options* given = values_.sized(options);
    check(elms_tokenize(model, text.data(), text.size(), given, in_.byte() == 255 ? nullptr : tokens.data(),
                        capacity, &n, error()));
    for (std::size_t i = 0; i < tokens.size() && in_.byte() % 4 == 0; ++i) tokens[i] = values_.integer();
    std::array<char, 64> out{};
    std::size_t n_bytes = 0;
    check(elms_detokenize(model, tokens.data(), std::min(n, tokens.size()), out.data(), in_.byte() % 65,
                          &n_bytes, error()));
  }

  void create_session() {
    const elms_model* model = models_.get(in_.byte());
    Roomy<elms_session_options> options;
    options.value.context_tokens = values_.integer();
    options.value.batch_tokens = values_.integer();
    options.value.width = in_.flag() ? values_.real() : 0.0;
    options.value.kv_int8 = in_.byte() & 1;
    const elms_session_options* given = values_.sized(options);
    elms_session** room = sessions_.room(in_.byte());
    const elms_code code = elms_session_create(model, given, room, error());
    check(code, *room);
  }
  void set_session() {
    elms_session* session = sessions_.get(in_.byte());
    const std::int32_t level = elms_session_set_width(session, values_.real());
    require(session == nullptr || level >= 0, "a width has a level");
    require((elms_session_width(session) > 0.0) == (session != nullptr), "a session has a width");
    check(elms_session_set_sampling(session, values_.sampling(), error()));
  }
  void prefill() {
    elms_session* session = sessions_.get(in_.byte());
    std::vector<std::int32_t> tokens(in_.byte() % 80);
    for (std::int32_t& token : tokens) token = in_.byte() == 255 ? values_.integer() : in_.byte();
    check(elms_session_prefill(session, tokens.data(), tokens.size(), cancel(), error()));
    look_at(session);
  }
  void decode() {
    elms_session* session = sessions_.get(in_.byte());
    std::int32_t token = 0;
    for (int n = in_.byte() % 4; n >= 0; --n)
      check(elms_session_decode(session, cancel(), in_.byte() == 255 ? nullptr : &token, error()));
    look_at(session);
  }
  static void look_at(const elms_session* session) {
    const float* logits = elms_session_logits(session);
    [[maybe_unused]] static volatile float sink;
    if (logits != nullptr) sink = logits[0];
    require(elms_session_position(session) >= 0, "a session has a position");
  }
  void move_session() {
    elms_session* session = sessions_.get(in_.byte());
    if (in_.flag()) {
      elms_session_reset(session);
    } else {
      check(elms_session_rewind(session, values_.integer(), error()));
    }
  }
  void generate() {
    elms_session* session = sessions_.get(in_.byte());
    Roomy<elms_generate_options> options;
    options.value.max_tokens = in_.byte() % 16 == 0 ? values_.integer() : in_.byte() % 8;
    if (in_.flag()) options.value.stop = values_.c_texts(options.value.n_stop);
    options.value.cancel = cancel();
    choose_callback(options.value.on_text, options.value.user_data);
    const std::string_view prompt = values_.text();
    const elms_generate_options* given = values_.sized(options);
    elms_answer** room = answers_.room(in_.byte());
    const elms_code code = elms_generate(session, prompt.data(), prompt.size(), given, room, error());
    check(code, *room);
  }
  void choose_callback(elms_on_text& on_text, void*& user_data) {
    n_pieces_left_ = in_.byte() % 6;
    if (n_pieces_left_ == 0) return;
    on_text = [](void* self, const char* text, std::size_t n_bytes) {
      require(text != nullptr && n_bytes > 0, "a piece is some text");
      if (self == nullptr) return ELMS_STOP;  // the struct ended before user_data
      return --static_cast<Calls*>(self)->n_pieces_left_ > 0 ? ELMS_CONTINUE : ELMS_STOP;
    };
    user_data = this;
  }
  void ask_answer() {
    const elms_answer* answer = answers_.get(in_.byte());
    require(std::strlen(elms_answer_text(answer)) <= elms_answer_text_bytes(answer), "an answer's text ends");
    require(elms_answer_n_tokens(answer) >= 0 && elms_answer_finish(answer) <= ELMS_FINISH_ERROR,
            "an answer ended");
    require(elms_answer_ttft_ms(answer) >= 0.0 && elms_answer_tpot_ms(answer) >= 0.0,
            "times are not negative");
    require(elms_answer_n_prompt_tokens(answer) <= elms_answer_n_original_tokens(answer),
            "prompts are only shortened");
    require(elms_answer_n_reused_tokens(answer) >= 0 && elms_answer_n_level_changes(answer) >= 0,
            "counts are counts");
    require(elms_answer_refined_prompt(answer) != nullptr, "a text is never null");
    Roomy<elms_plan> plan;
    Roomy<elms_times> times;
    check(elms_answer_plan(answer, values_.sized(plan), error()));
    check(elms_answer_times(answer, values_.sized(times), error()));
    check(elms_answer_status(answer, error()));
  }
  void set_cancel() {
    const std::uint8_t which = in_.byte(), what = in_.byte();
    if (what % 4 == 0) *cancels_.room(which) = elms_cancel_create();
    if (what % 4 == 1) elms_cancel_set(cancels_.get(which));
    if (what % 4 > 1) elms_cancel_reset(cancels_.get(which));
  }

  void open_refiner() {
    if (++n_opened_ > 1) return;
    Roomy<elms_refiner_options> options;
    options.value.n_threads = 1;
    const elms_refiner_options* given = values_.sized(options);
    if (given == nullptr) given = &options.value;
    elms_refiner** room = refiners_.room(in_.byte());
    const char* path = folder_file(in_.byte() % 16 == 0 ? "model" : "refiner").c_str();
    const elms_code code = elms_refiner_open(path, given, room, error());
    check(code, *room);
    require(elms_refiner_can_refine(*room) + elms_refiner_can_decide(*room) >= (*room != nullptr ? 1 : 0),
            "a refiner has a head");
  }
  void refine() {
    const elms_refiner* refiner = refiners_.get(in_.byte());
    const elms_model* model = models_.get(in_.byte());
    std::size_t n = 0;
    const elms_segment* segments = values_.segments(n);
    const elms_refine_options* options = values_.refine_options();
    elms_refined** room = refined_.room(in_.byte());
    const elms_code code = elms_refiner_refine(refiner, model, segments, n, options, cancel(), room, error());
    check(code, *room);
    require(elms_refined_tokens_after(*room) <= elms_refined_budget_tokens(*room), "the budget is met");
  }
  void ask_refined() {
    const elms_refined* refined = refined_.get(in_.byte());
    require(std::strlen(elms_refined_text(refined)) <= elms_refined_text_bytes(refined),
            "a refined text ends");
    std::size_t n_spans = 0, n_bytes = 0;
    const elms_span* spans = elms_refined_spans(refined, &n_spans);
    std::size_t last = 0, total = 0;
    for (std::size_t i = 0; i < n_spans; ++i) {
      require(spans[i].begin >= last && spans[i].begin < spans[i].end, "spans ascend");
      total += spans[i].end - spans[i].begin;
      last = spans[i].end;
    }
    require(total == elms_refined_text_bytes(refined), "the text is its spans");
    elms_refined_segment(refined, in_.byte() % 8, in_.flag() ? &n_bytes : nullptr);
    require(elms_refined_source_offset(refined, in_.byte()) <= last, "offsets lead into the prompt");
    require(elms_refined_tokens_after(refined) <= elms_refined_tokens_before(refined) || n_spans > 0,
            "tokens are counted");
  }

  void make_profile() {
    const elms_profile* old = profiles_.get(in_.byte());
    std::size_t n_bytes = 0;
    const char* json = elms_profile_json(old, in_.flag() ? &n_bytes : nullptr);
    std::string text = json != nullptr ? json : "";
    if (in_.flag()) text = values_.text();
    elms_profile** room = profiles_.room(in_.byte());
    if (in_.byte() % 16 == 0) {
      const elms_code code = elms_profile_load(folder_file("model").c_str(), room, error());
      check(code, *room);
    } else {
      const elms_code code = elms_profile_parse(text.data(), text.size(), room, error());
      check(code, *room);
    }
    check(elms_profile_save(profiles_.get(in_.byte()), folder_file("none").c_str(), error()));
  }
  void calibrate() {
    if (++n_timed_ > 1) return;
    Roomy<elms_calibrate_options> options;
    options.value.seconds = 1e-9;
    options.value.max_tokens = 2 + in_.byte() % 6;
    options.value.batch_tokens = in_.byte() % 8;
    options.value.kv_int8 = in_.byte() & 1;
    n_pieces_left_ = in_.byte() % 8;
    options.value.user_data = this;
    options.value.on_progress = [](void* self, double) {
      return --static_cast<Calls*>(self)->n_pieces_left_ > 0 ? ELMS_CONTINUE : ELMS_STOP;
    };
    options.value.refiner = in_.byte() % 8 == 0 ? refiners_.get(in_.byte()) : nullptr;
    const elms_model* model = models_.get(in_.byte());
    const elms_calibrate_options* given = values_.sized(options);
    if (given == nullptr || given->struct_size < sizeof(elms_calibrate_options))
      return;  // defaults take 15 seconds
    elms_profile** room = profiles_.room(in_.byte());
    const elms_code code = elms_profile_calibrate(model, given, room, error());
    check(code, *room);
  }

  void create_planner() {
    const elms_model* model = models_.get(in_.byte());
    Roomy<elms_planner_options> options;
    options.value.profile = profiles_.get(in_.byte());
    options.value.without_learning = in_.byte() & 1;
    options.value.n_threads = in_.byte() == 255 ? 100000 : in_.byte() % 2;
    options.value.kv_int8 = in_.byte() & 1;
    std::array<double, 4> ratios{};
    options.value.n_keep_ratios = in_.byte() % 4;
    for (double& ratio : ratios) ratio = values_.real();
    options.value.keep_ratios = in_.byte() == 255 ? nullptr : ratios.data();
    const elms_planner_options* given = values_.sized(options);
    if (given == nullptr || given->struct_size < sizeof options.value) given = &options.value;
    options.value.without_probe = 1;  // timing takes longer than all else here
    elms_planner** room = planners_.room(in_.byte());
    const elms_code code = elms_planner_create(model, given, room, error());
    check(code, *room);
  }
  void plan() {
    const elms_planner* planner = planners_.get(in_.byte());
    Roomy<elms_plan_request> request;
    elms_plan_request& r = request.value;
    for (std::int32_t* count :
         {&r.n_protected_tokens, &r.n_compressible_tokens, &r.n_cached_tokens,
          &r.n_cached_compressible_tokens, &r.n_cached_head_tokens, &r.n_output_tokens, &r.context_tokens})
      *count = in_.flag() ? values_.integer() : 0;
    r.without_refiner = in_.byte() & 1;
    for (double* target :
         {&r.ttft_ms, &r.tpot_ms, &r.ttft_share, &r.tpot_share, &r.elapsed_ms, &r.confidence})
      *target = in_.byte() % 3 == 0 ? values_.real() : 0.0;
    r.best_effort = in_.byte() & 1;
    Roomy<elms_plan> plan;
    const elms_plan_request* given = values_.sized(request);
    check(elms_planner_plan(planner, given, values_.sized(plan), error()));
  }
  void observe() {
    elms_planner* planner = planners_.get(in_.byte());
    Roomy<elms_observation> observation;
    elms_observation& o = observation.value;
    for (std::int32_t* count : {&o.level, &o.n_refine_words, &o.n_prefill_tokens, &o.n_cached_tokens,
                                &o.n_decoded_tokens, &o.context_tokens, &o.n_cut_words})
      *count = values_.integer();
    for (double* time : {&o.refine_ms, &o.prefill_ms, &o.decode_ms, &o.cut_ms}) *time = values_.real();
    check(elms_planner_observe(planner, values_.sized(observation), error()));
    if (in_.byte() % 4 == 0) elms_planner_forget(planner);
    std::array<char, 100> note{};
    std::size_t n_bytes = 0;
    check(elms_planner_note(planner, note.data(), in_.byte() % note.size(), &n_bytes, error()));
  }

  void create_service() {
    const elms_model* model = models_.get(in_.byte());
    Roomy<elms_service_options> options;
    options.value.refiner = refiners_.get(in_.byte());
    options.value.planner = planners_.get(in_.byte());
    options.value.n_sessions = in_.byte() % 4;
    options.value.max_running = in_.byte() == 255 ? values_.integer() : in_.byte() % 3;
    options.value.max_queued = values_.integer();
    options.value.context_tokens = values_.integer();
    options.value.batch_tokens = values_.integer();
    options.value.kv_int8 = in_.byte() & 1;
    options.value.reuse = in_.byte() % 4;
    options.value.fixed_width = in_.byte() & 1;
    options.value.without_learning = in_.byte() & 1;
    options.value.refine = in_.byte() % 4 == 0 ? values_.refine_options() : nullptr;
    const elms_service_options* given = values_.sized(options);
    if (options.value.planner == nullptr || given == nullptr || given->struct_size < sizeof options.value)
      return;  // it would time
    elms_service** room = services_.room(in_.byte());
    const elms_code code = elms_service_create(model, given, room, error());
    check(code, *room);
  }
  void serve() {
    elms_service* service = services_.get(in_.byte());
    Roomy<elms_request> request;
    elms_request& r = request.value;
    const std::uint8_t kind = in_.byte();
    if (kind % 4 != 0) r.prompt = values_.segments(r.n_prompt);
    if (kind % 8 >= 4 || kind % 4 == 0) r.messages = values_.messages(r.n_messages);
    for (double* value : {&r.ttft_ms, &r.tpot_ms, &r.ttft_share, &r.tpot_share, &r.confidence, &r.deadline_ms,
                          &r.width, &r.keep_ratio})
      *value = in_.byte() % 4 == 0 ? values_.real() : 0.0;
    r.reject_infeasible = in_.byte() & 1;
    r.max_tokens = in_.byte() % 16 == 0 ? values_.integer() : in_.byte() % 8;
    r.expected_tokens = in_.byte() % 16 == 0 ? values_.integer() : 0;
    r.priority = values_.integer();
    r.sampling = in_.flag() ? values_.sampling() : nullptr;
    if (in_.flag()) r.stop = values_.c_texts(r.n_stop);
    r.cancel = cancel();
    choose_callback(r.on_text, r.user_data);
    const elms_request* given = values_.sized(request);
    elms_answer** room = answers_.room(in_.byte());
    const elms_code code = elms_service_generate(service, given, room, error());
    check(code, *room);
  }
  void ask_service() {
    const elms_service* service = services_.get(in_.byte());
    Roomy<elms_service_status> status;
    check(elms_service_get_status(service, values_.sized(status), error()));
    require(status.value.n_running == 0 && status.value.n_queued == 0, "nobody else is served");
    elms_planner** room = planners_.room(in_.byte());
    const elms_code code = elms_service_planner(service, room, error());
    check(code, *room);
  }

  FuzzReader in_;
  elms_test::CApiValues values_;
  elms_error error_{};
  int n_opened_ = 0, n_timed_ = 0, n_pieces_left_ = 0;
  Slots<elms_cancel, elms_cancel_free> cancels_;
  Slots<elms_model, elms_model_close> models_{shared_model()};
  Slots<elms_session, elms_session_free> sessions_;
  Slots<elms_answer, elms_answer_free> answers_;
  Slots<elms_refiner, elms_refiner_close> refiners_{shared_refiner()};
  Slots<elms_refined, elms_refined_free> refined_;
  Slots<elms_profile, elms_profile_free> profiles_;
  Slots<elms_planner, elms_planner_free> planners_;
  Slots<elms_service, elms_service_free> services_;
};

}  // namespace

void elms_test::fuzz_c_api(FuzzBytes bytes) {
  Calls(bytes).run();
}
