#include "assistant.hpp"

#include <cstdio>
#include <utility>

elms::Result<std::unique_ptr<Assistant>> Assistant::open(const std::string& model,
                                                         const std::string& refiner) {
  auto assistant = std::make_unique<Assistant>();
  elms::ServiceOptions options;
  auto opened = elms::ElasticModel::open(model);
  if (!opened.has_value()) return opened.error();
  options.model = *opened;
  options.n_sessions = 1;  // one KV cache: a phone's memory is dear
  options.kv_type = elms::KvType::kQ8;
  if (!refiner.empty()) {
    auto refines = elms::PromptRefiner::open(refiner, {.pool = (*opened)->pool()});
    if (!refines.has_value()) return refines.error();
    options.refiner = *refines;
  }
  auto service = elms::ElasticService::create(options);
  if (!service.has_value()) return service.error();
  assistant->service_ = *service;
  return assistant;
}

elms::Result<Assistant::Reply> Assistant::ask(const std::string& context, const std::string& question,
                                              double ttft_ms, double tpot_ms,
                                              const std::function<bool(std::string_view)>& on_text) {
  cancel_.reset();
  elms::ServiceRequest request;
  if (!context.empty()) request.prompt.push_back(elms::Segment::compress(context));
  request.prompt.push_back(elms::Segment::protect(question, elms::SegmentRole::kQuestion));
  if (ttft_ms > 0.0) request.slo.ttft_ms = ttft_ms;
  if (tpot_ms > 0.0) request.slo.tpot_ms = tpot_ms;
  request.max_tokens = 24;
  request.expected_tokens = 8;
  request.stop = {"\n"};
  request.cancel = &cancel_;
  request.on_text = [&](std::string_view piece) {
    return on_text(piece) ? elms::Flow::kContinue : elms::Flow::kStop;
  };
  auto answer = service_->generate(request);
  if (!answer.has_value()) return answer.error();
  if (!answer->status.ok()) return answer->status;
  char times[256];
  std::snprintf(
      times, sizeof times,
      "width %.2f, keep %.2f: TTFT %.1f ms planned, %.1f measured; TPOT %.2f ms planned, %.2f measured; %s",
      answer->plan.width, answer->plan.keep_ratio, answer->plan.ttft_ms, answer->times.ttft_ms,
      answer->plan.tpot_ms, answer->times.tpot_ms, elms::to_string(answer->finish));
  return Reply{std::move(answer->text), times};
}
