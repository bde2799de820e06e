#include "c_api/arguments.hpp"
#include "c_api/handles.hpp"
#include "c_api/plans.hpp"
#include "c_api/prompts.hpp"
#include "c_api/sampling.hpp"

namespace elms::inline v0::detail {
namespace {

static_assert(static_cast<int>(CacheReuse::kOff) == ELMS_REUSE_OFF,
              "values of elms_reuse are those of CacheReuse");

Status read_planner(const elms_service_options& asked, ServiceOptions& options) {
  if (asked.planner != nullptr) {
    if (asked.profile != nullptr)
      return invalid_argument("elms_service_options: a planner has its profile already");
    options.planner = asked.planner->planner;
    return {};
  }
  if (asked.profile == nullptr) return {};
  PlannerOptions planner;
  planner.profile = asked.profile->profile;
  planner.kv_type = options.kv_type;
  ELMS_ASSIGN_OR_RETURN(options.planner, SLOPlanner::create(options.model, std::move(planner)));
  return {};
}

Status read_refiner(const elms_service_options& asked, ServiceOptions& options) {
  if (asked.refiner != nullptr) options.refiner = asked.refiner->refiner;
  ELMS_ASSIGN_OR_RETURN(const elms_refine_options refine, read_options(asked.refine, "elms_refine_options"));
  if (refine.keep_ratio != 0.0 || refine.max_tokens != 0 || refine.without_special != 0) {
    return invalid_argument(
        "elms_service_options: how much of a prompt is kept is up to the planner, expected no budget");
  }
  ELMS_ASSIGN_OR_RETURN(options.refine, read_refine_options(refine));
  return {};
}

Result<ServiceOptions> read_service_options(const elms_model* model, const elms_service_options* given) {
  ELMS_ASSIGN_OR_RETURN(const elms_service_options asked, read_options(given, "elms_service_options"));
  ServiceOptions options;
  options.model = model->model;
  if (asked.max_running != 0) options.max_running = asked.max_running;
  options.n_sessions =
      asked.n_sessions != 0 ? asked.n_sessions : std::max(options.n_sessions, options.max_running);
  if (asked.max_queued != 0) options.max_queued = std::max(0, asked.max_queued);
  options.context_tokens = asked.context_tokens;
  if (asked.batch_tokens != 0) options.batch_tokens = asked.batch_tokens;
  if (asked.kv_int8 != 0) options.kv_type = KvType::kQ8;
  ELMS_ASSIGN_OR_RETURN(const std::int32_t reuse, read_choice(asked.reuse, ELMS_REUSE_OFF, "reuse"));
  options.reuse = static_cast<CacheReuse>(reuse);
  options.narrow_while_decoding = asked.fixed_width == 0;
  options.learn = asked.without_learning == 0;
  ELMS_RETURN_IF_ERROR(read_planner(asked, options));
  ELMS_RETURN_IF_ERROR(read_refiner(asked, options));
  return options;
}

Status create_service(const elms_model* model, const elms_service_options* given, elms_service** out) {
  if (out == nullptr) return invalid_argument("elms_service_create: nowhere to write the service");
  *out = nullptr;
  if (model == nullptr) return invalid_argument("elms_service_create: no model");
  ELMS_ASSIGN_OR_RETURN(ServiceOptions options, read_service_options(model, given));
  ELMS_ASSIGN_OR_RETURN(auto service, ElasticService::create(std::move(options)));
  return make_handle(std::move(service), out);
}

/// What the request says to run instead of the planner.
Status read_forced(const elms_request& asked, const ElasticModel& model, ServiceRequest& request) {
  if (asked.keep_ratio != 0.0) request.keep_ratio = asked.keep_ratio;
  if (asked.width == 0.0) return {};
  if (!(asked.width > 0.0 && asked.width <= 1.0)) {
    return invalid_argument("elms_request: width ", asked.width, ", expected above 0 and at most 1");
  }
  request.level = model.level_for_width(asked.width);
  return {};
}

Result<ServiceRequest> read_request(const elms_request* given, const ElasticModel& model) {
  ELMS_ASSIGN_OR_RETURN(const elms_request asked, read_options(given, "elms_request"));
  ServiceRequest request;
  ELMS_ASSIGN_OR_RETURN(request.prompt, read_segments(asked.prompt, asked.n_prompt));
  ELMS_ASSIGN_OR_RETURN(request.messages, read_messages(asked.messages, asked.n_messages));
  ELMS_ASSIGN_OR_RETURN(Targets targets,
                        read_targets(asked.ttft_ms, asked.tpot_ms, asked.ttft_share, asked.tpot_share));
  request.slo = targets.slo;
  request.shares = targets.shares;
  if (asked.confidence != 0.0) request.confidence = asked.confidence;
  if (asked.reject_infeasible != 0) request.policy = InfeasiblePolicy::kReject;
  if (asked.max_tokens != 0) request.max_tokens = std::max(0, asked.max_tokens);
  if (asked.expected_tokens != 0) request.expected_tokens = asked.expected_tokens;
  request.priority = asked.priority;
  if (asked.deadline_ms != 0.0) request.deadline_ms = asked.deadline_ms;
  ELMS_ASSIGN_OR_RETURN(request.sampling, read_sampling(asked.sampling));
  ELMS_ASSIGN_OR_RETURN(request.stop, read_texts(asked.stop, asked.n_stop, "stop"));
  request.cancel = token_of(asked.cancel);
  request.on_text = text_sink(asked.on_text, asked.user_data);
  ELMS_RETURN_IF_ERROR(read_forced(asked, model, request));
  return request;
}

Status serve(elms_service* service, const elms_request* given, elms_answer** out) {
  if (out == nullptr) return invalid_argument("elms_service_generate: nowhere to write the answer");
  *out = nullptr;
  if (service == nullptr) return invalid_argument("elms_service_generate: no service");
  ELMS_ASSIGN_OR_RETURN(const ServiceRequest request, read_request(given, service->service->model()));
  ELMS_ASSIGN_OR_RETURN(Answer answer, service->service->generate(request));
  ELMS_RETURN_IF_ERROR(make_handle(std::move(answer), out));
  (*out)->of_service = true;
  return {};
}

Status planner_of(const elms_service* service, elms_planner** out) {
  if (out == nullptr) return invalid_argument("elms_service_planner: nowhere to write the planner");
  *out = nullptr;
  if (service == nullptr) return invalid_argument("elms_service_planner: no service");
  return make_handle(std::shared_ptr(service->service->planner()), out);
}

Status status_of_service(const elms_service* service, elms_service_status* out) {
  if (service == nullptr) return invalid_argument("elms_service_get_status: no service");
  const ServiceStatus status = service->service->status();
  const elms_service_status filled{sizeof filled, status.n_running, status.n_queued, status.n_answered,
                                   status.kv_bytes};
  return write_struct(filled, out, "elms_service_status");
}

}  // namespace
}  // namespace elms::inline v0::detail

extern "C" {

elms_code elms_service_create(const elms_model* model, const elms_service_options* options,
                              elms_service** service, elms_error* error) {
  return elms::detail::report([&] { return elms::detail::create_service(model, options, service); }, error);
}

void elms_service_free(elms_service* service) {
  delete service;
}

elms_code elms_service_generate(elms_service* service, const elms_request* request, elms_answer** answer,
                                elms_error* error) {
  return elms::detail::report([&] { return elms::detail::serve(service, request, answer); }, error);
}

elms_code elms_service_planner(const elms_service* service, elms_planner** planner, elms_error* error) {
  return elms::detail::report([&] { return elms::detail::planner_of(service, planner); }, error);
}

elms_code elms_service_get_status(const elms_service* service, elms_service_status* status,
                                  elms_error* error) {
  return elms::detail::report([&] { return elms::detail::status_of_service(service, status); }, error);
}

}  // extern "C"
