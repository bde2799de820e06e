// ElasticService: requests with targets in, streamed text and measured times out.
#pragma once

#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "elms/detail/refine/survey.hpp"
#include "elms/detail/service/request_queue.hpp"
#include "elms/detail/service/request_run.hpp"
#include "elms/detail/service/session_slot.hpp"
#include "elms/elastic_model.hpp"
#include "elms/service_types.hpp"
#include "elms/slo_planner.hpp"
#include "elms/status.hpp"

namespace elms::inline v0 {

/// One model served to any number of threads. A request waits until it is the next (RequestQueue), gets the
/// session whose cache begins most like its prompt, is planned (SLOPlanner: width and keep ratio, with what
/// the refiner's decision head says where there is one), cut, prefilled behind what the cache holds, and
/// decoded, narrower while its tokens run late (Pacer). The planner learns from what it took.
///
/// Thread-safe. Requests compute on the threads that ask; the service has none of its own. It must outlive
/// its calls.
class ElasticService {
 public:
  /// kInvalidArgument for a null model and for counts below 1 or above kMostSessions, kNotFound where the
  /// model has no tokenizer, kOutOfMemory.
  [[nodiscard]] static Result<std::shared_ptr<ElasticService>> create(ServiceOptions options);

  /// Blocks until the answer is complete. Being cancelled, late (deadline_ms) or rejected is no failure:
  /// Answer::finish says so, with the text so far. A stop, wherever it comes from, takes effect within one
  /// layer of one batch; the session it was computed on keeps what whole batches it computed, for requests
  /// that begin alike.
  ///
  /// Failures, before any text: kUnavailable (too many requests wait), kInvalidArgument (the request can
  /// never work; what a chat template refuses), kUnsupported and kNotFound (messages for a model without a
  /// template that elms knows), kOutOfContext (the prompt does not fit), kOutOfMemory.
  [[nodiscard]] Result<Answer> generate(const ServiceRequest& request);

  [[nodiscard]] ServiceStatus status() const;
  /// Never null.
  [[nodiscard]] const std::shared_ptr<SLOPlanner>& planner() const noexcept { return parts_.options.planner; }
  [[nodiscard]] const ElasticModel& model() const noexcept { return *parts_.options.model; }

  ElasticService(const ElasticService&) = delete;
  ElasticService& operator=(const ElasticService&) = delete;

 private:
  static Result<std::shared_ptr<ElasticService>> create_now(ServiceOptions options);
  Result<Answer> generate_now(const ServiceRequest& request);
  explicit ElasticService(ServiceOptions options) : queue_(options.max_running, options.max_queued) {
    parts_.options = std::move(options);
  }

  static Status check(const ServiceOptions& options);
  Status check(const ServiceRequest& request) const;
  Status open_parts();
  [[nodiscard]] Result<std::vector<Segment>> prompt_of(const ServiceRequest& request) const;
  Status wait_and_run(const ServiceRequest& request, std::span<const Segment> prompt, double arrival_ms,
                      Answer& answer);

  detail::ServiceParts parts_;
  detail::RequestQueue queue_;
  detail::SlotPool slots_;
  std::atomic<std::uint64_t> n_answered_{0};
};

inline Status ElasticService::check(const ServiceOptions& options) {
  if (options.model == nullptr) return detail::invalid_argument("service: the model is null");
  if (options.max_running < 1 || options.n_sessions < options.max_running ||
      options.n_sessions > ServiceOptions::kMostSessions || options.max_queued < 0) {
    return detail::invalid_argument("service: ", options.n_sessions, " sessions (at most ",
                                    ServiceOptions::kMostSessions, ") for ", options.max_running,
                                    " requests at a time and ", options.max_queued, " that wait");
  }
  if (options.refiner != nullptr && !options.refiner->can_refine()) {
    return detail::unsupported("service: the refiner has no score head");
  }
  return {};
}

inline Result<std::shared_ptr<ElasticService>> ElasticService::create(ServiceOptions options) {
  return detail::or_out_of_memory([&] { return create_now(std::move(options)); });
}

inline Result<std::shared_ptr<ElasticService>> ElasticService::create_now(ServiceOptions options) {
  ELMS_RETURN_IF_ERROR(check(options));
  std::unique_ptr<ElasticService> service(new (std::nothrow) ElasticService(std::move(options)));
  if (service == nullptr) return Status(StatusCode::kOutOfMemory, "service");
  ELMS_RETURN_IF_ERROR(service->open_parts());
  return std::shared_ptr<ElasticService>(std::move(service));
}

inline Status ElasticService::open_parts() {
  ServiceOptions& options = parts_.options;
  ELMS_ASSIGN_OR_RETURN(parts_.tokenizer, options.model->tokenizer());
  Result<std::shared_ptr<const ChatTemplate>> chat = ChatTemplate::create(*parts_.tokenizer);
  if (chat.has_value()) {
    parts_.chat_template = *chat;
  } else {
    parts_.chat_template_error = chat.error();
  }
  if (!options.now_ms) {
    options.now_ms = [] {
      return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch())
          .count();
    };
  }
  if (options.planner == nullptr) {
    PlannerOptions planner;
    planner.threads = options.pool != nullptr ? options.pool->n_threads() : 0;
    planner.kv_type = options.kv_type;
    ELMS_ASSIGN_OR_RETURN(options.planner, SLOPlanner::create(options.model, planner));
  }
  return slots_.fill(options);
}

inline Status ElasticService::check(const ServiceRequest& request) const {
  if (request.prompt.empty() == request.messages.empty()) {
    return detail::invalid_argument("service: a request has either a prompt or messages");
  }
  GenerateOptions generate;
  generate.max_tokens = request.max_tokens;
  generate.stop = request.stop;
  ELMS_RETURN_IF_ERROR(detail::check(generate));
  const int n_levels = static_cast<int>(model().levels().size());
  if (request.level.has_value() && (*request.level < 0 || *request.level >= n_levels)) {
    return detail::invalid_argument("service: level ", *request.level, ": the model has levels 0 to ",
                                    n_levels - 1);
  }
  if (request.keep_ratio.has_value() && !(*request.keep_ratio > 0.0 && *request.keep_ratio <= 1.0)) {
    return detail::invalid_argument("service: keep ratio ", *request.keep_ratio,
                                    ": expected a number above 0, at most 1");
  }
  if (!(request.slo.ttft_ms > 0.0) || !(request.slo.tpot_ms > 0.0) || std::isnan(request.deadline_ms)) {
    return detail::invalid_argument("service: targets of ", request.slo.ttft_ms, " ms and ",
                                    request.slo.tpot_ms, " ms");
  }
  return {};
}

inline Result<std::vector<Segment>> ElasticService::prompt_of(const ServiceRequest& request) const {
  if (request.messages.empty()) return request.prompt;
  if (parts_.chat_template == nullptr) return parts_.chat_template_error;
  return parts_.chat_template->segments(request.messages);
}

inline Result<Answer> ElasticService::generate(const ServiceRequest& request) {
  return detail::or_out_of_memory([&] { return generate_now(request); });
}

inline Result<Answer> ElasticService::generate_now(const ServiceRequest& request) {
  const double arrival_ms = parts_.options.now_ms();
  ELMS_RETURN_IF_ERROR(check(request));
  ELMS_ASSIGN_OR_RETURN(const std::vector<Segment> prompt, prompt_of(request));
  Answer answer;
  ELMS_RETURN_IF_ERROR(wait_and_run(request, prompt, arrival_ms, answer));
  answer.times.total_ms = parts_.options.now_ms() - arrival_ms;
  n_answered_.fetch_add(1, std::memory_order_relaxed);
  return answer;
}

inline Status ElasticService::wait_and_run(const ServiceRequest& request, std::span<const Segment> prompt,
                                           double arrival_ms, Answer& answer) {
  const std::function<double()>& now_ms = parts_.options.now_ms;
  const detail::refine::Survey survey = detail::refine::survey(prompt, parts_.options.refine);
  const detail::PromptShape shape(*parts_.tokenizer, prompt, survey.always, request.messages.empty());
  const bool cut_by_question = parts_.options.cut_by_question && survey.question_says;
  const bool may_refine =
      (parts_.options.refiner != nullptr || cut_by_question) && shape.n_compressible(shape.tokens.size()) > 0;
  const detail::RequestPlanner planner(parts_, request, shape, may_refine, cut_by_question);
  answer.n_original_tokens = answer.n_prompt_tokens = static_cast<std::int32_t>(shape.tokens.size());

  detail::Ticket ticket;
  ticket.priority = request.priority;
  PlanRequest plan_request = planner.plan_request(0, 0.0, parts_.options.context_tokens);
  const Slo slo = request.shares.has_value() ? parts_.options.planner->slo_of(*request.shares, plan_request)
                                             : request.slo;
  const double deadline_ms = arrival_ms + request.deadline_ms;
  ticket.deadline_ms = std::min(arrival_ms + slo.ttft_ms, deadline_ms);
  plan_request.elapsed_ms = now_ms() - arrival_ms + queue_.predicted_wait_ms(ticket, now_ms());
  answer.plan = planner.plan(plan_request);
  // Not even the fastest strategy could be in time behind those that go before.
  if (!answer.plan.accepted) return detail::refuse(answer);
  ticket.predicted_ms =
      answer.plan.ttft_ms - plan_request.elapsed_ms + answer.plan.tpot_ms * plan_request.n_output_tokens;

  const auto gives_up = [&]() -> Status {
    if (request.cancel != nullptr && request.cancel->cancelled())
      answer.finish = FinishReason::kCancelled;
    else if (now_ms() >= deadline_ms)
      answer.finish = FinishReason::kDeadline;
    else
      return {};
    return Status(StatusCode::kCancelled, "service: gave up waiting");
  };
  if (!gives_up().ok()) return {};
  const Status entered = queue_.enter(ticket, gives_up, now_ms);
  answer.times.queue_ms = now_ms() - arrival_ms;
  if (!entered.ok()) return entered.code() == StatusCode::kCancelled ? Status() : entered;

  const detail::RequestQueue::Turn turn(queue_, ticket);
  const detail::SlotPool::Lease slot(slots_, shape.tokens);
  slot->watch.start(request.cancel, deadline_ms, now_ms);
  return detail::RequestRun(parts_, request, prompt, shape, planner, arrival_ms, *slot, answer).run();
}

inline ServiceStatus ElasticService::status() const {
  return {queue_.n_running(), queue_.n_queued(), n_answered_.load(std::memory_order_relaxed),
          slots_.kv_bytes()};
}

}  // namespace elms::inline v0
