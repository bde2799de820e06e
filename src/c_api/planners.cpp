#include "c_api/arguments.hpp"
#include "c_api/handles.hpp"
#include "c_api/plans.hpp"

namespace elms::inline v0::detail {
namespace {

Status create_planner(const elms_model* model, const elms_planner_options* given, elms_planner** out) {
  if (out == nullptr) return invalid_argument("elms_planner_create: nowhere to write the planner");
  *out = nullptr;
  if (model == nullptr) return invalid_argument("elms_planner_create: no model");
  ELMS_ASSIGN_OR_RETURN(const elms_planner_options asked, read_options(given, "elms_planner_options"));
  if (asked.keep_ratios == nullptr && asked.n_keep_ratios != 0) {
    return invalid_argument("keep_ratios: a null pointer to ", asked.n_keep_ratios, " numbers");
  }
  PlannerOptions options;
  if (asked.profile != nullptr) options.profile = asked.profile->profile;
  options.probe = asked.without_probe == 0;
  options.learn = asked.without_learning == 0;
  options.threads = asked.n_threads;
  if (asked.kv_int8 != 0) options.kv_type = KvType::kQ8;
  options.keep_ratios.assign(asked.keep_ratios, asked.keep_ratios + asked.n_keep_ratios);
  ELMS_ASSIGN_OR_RETURN(auto planner, SLOPlanner::create(model->model, std::move(options)));
  return make_handle(std::move(planner), out);
}

Result<PlanRequest> read_plan_request(const elms_plan_request* given) {
  ELMS_ASSIGN_OR_RETURN(const elms_plan_request asked, read_options(given, "elms_plan_request"));
  ELMS_ASSIGN_OR_RETURN(Targets targets,
                        read_targets(asked.ttft_ms, asked.tpot_ms, asked.ttft_share, asked.tpot_share));
  PlanRequest request;
  request.n_protected_tokens = asked.n_protected_tokens;
  request.n_compressible_tokens = asked.n_compressible_tokens;
  request.n_cached_tokens = asked.n_cached_tokens;
  request.n_cached_compressible_tokens = asked.n_cached_compressible_tokens;
  request.n_cached_head_tokens = asked.n_cached_head_tokens;
  if (asked.n_output_tokens != 0) request.n_output_tokens = asked.n_output_tokens;
  request.context_tokens = asked.context_tokens;
  request.may_refine = asked.without_refiner == 0;
  request.slo = targets.slo;
  request.shares = targets.shares;
  request.elapsed_ms = asked.elapsed_ms;
  if (asked.confidence != 0.0) request.confidence = asked.confidence;
  request.policy = asked.best_effort != 0 ? InfeasiblePolicy::kBestEffort : InfeasiblePolicy::kReject;
  request.n_alternatives = 0;
  return request;
}

Status make_plan(const elms_planner* planner, const elms_plan_request* given, elms_plan* out) {
  if (planner == nullptr) return invalid_argument("elms_planner_plan: no planner");
  if (out == nullptr) return invalid_argument("elms_planner_plan: nowhere to write the plan");
  ELMS_ASSIGN_OR_RETURN(const PlanRequest request, read_plan_request(given));
  const Plan plan = planner->planner->plan(request);
  if (plan.verdict == Verdict::kOutOfMemory) return Status(StatusCode::kOutOfMemory, plan.reason);
  return write_plan(plan, out);
}

Status observe_request(elms_planner* planner, const elms_observation* given) {
  if (planner == nullptr || given == nullptr) {
    return invalid_argument("elms_planner_observe: no ", planner == nullptr ? "planner" : "observation");
  }
  ELMS_ASSIGN_OR_RETURN(const elms_observation seen, read_options(given, "elms_observation"));
  const auto n_levels = static_cast<std::int32_t>(planner->planner->model().levels().size());
  if (seen.level < 0 || seen.level >= n_levels) {
    return invalid_argument("elms_observation: level ", seen.level, ": the model has levels 0 to ",
                            n_levels - 1);
  }
  Observation observation;
  observation.level = seen.level;
  observation.n_refine_words = seen.n_refine_words;
  observation.refine_ms = seen.refine_ms;
  observation.n_prefill_tokens = seen.n_prefill_tokens;
  observation.n_cached_tokens = seen.n_cached_tokens;
  observation.prefill_ms = seen.prefill_ms;
  observation.n_decoded_tokens = seen.n_decoded_tokens;
  observation.context_tokens = seen.context_tokens;
  observation.decode_ms = seen.decode_ms;
  observation.n_cut_words = seen.n_cut_words;
  observation.cut_ms = seen.cut_ms;
  planner->planner->observe(observation);
  return {};
}

Status note_of(const elms_planner* planner, char* out, std::size_t capacity, std::size_t* n_out) {
  if (planner == nullptr) return invalid_argument("elms_planner_note: no planner");
  return copy_out<char>(planner->planner->profile_note(), out, capacity, n_out, "bytes of text");
}

}  // namespace
}  // namespace elms::inline v0::detail

extern "C" {

elms_code elms_planner_create(const elms_model* model, const elms_planner_options* options,
                              elms_planner** planner, elms_error* error) {
  return elms::detail::report([&] { return elms::detail::create_planner(model, options, planner); }, error);
}

void elms_planner_free(elms_planner* planner) {
  delete planner;
}

elms_code elms_planner_plan(const elms_planner* planner, const elms_plan_request* request, elms_plan* plan,
                            elms_error* error) {
  return elms::detail::report([&] { return elms::detail::make_plan(planner, request, plan); }, error);
}

elms_code elms_planner_observe(elms_planner* planner, const elms_observation* observation,
                               elms_error* error) {
  return elms::detail::report([&] { return elms::detail::observe_request(planner, observation); }, error);
}

void elms_planner_forget(elms_planner* planner) {
  if (planner != nullptr) planner->planner->forget();
}

elms_code elms_planner_note(const elms_planner* planner, char* text, size_t capacity, size_t* text_bytes,
                            elms_error* error) {
  return elms::detail::report([&] { return elms::detail::note_of(planner, text, capacity, text_bytes); },
                              error);
}

}  // extern "C"
