#include "offline/slo/replay.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "elms/types.hpp"

namespace elms::inline v0::offline {
namespace {

using Clock = std::chrono::steady_clock;
using Milliseconds = std::chrono::duration<double, std::milli>;

constexpr std::size_t kMaxClients = 32;  // more requests than this are hardly ever under way

Outcome outcome_of(const TraceRequest& request, const Answer& answer, const Contender& contender,
                   const Route& route, double late_ms) {
  Outcome outcome;
  outcome.answered = !answer.tokens.empty();
  outcome.right = first_line(answer.text) == request.answer;
  outcome.promised = answer.plan.feasible;
  outcome.ttft_ms = answer.times.ttft_ms + late_ms;
  outcome.tpot_ms = answer.times.tpot_ms;
  outcome.refine_ms = answer.times.refine_ms;
  outcome.plan_ms = answer.times.plan_ms;
  outcome.width = contender.width_of(answer, route);
  outcome.keep_ratio = answer.plan.keep_ratio;
  outcome.n_level_changes = answer.level_changes.size();
  return outcome;
}

Outcome ask(const TraceRequest& request, std::size_t index, Contender& contender, Clock::time_point arrival,
            const CancelToken& cancel) {
  const Route route = contender.route(request, index);
  ServiceRequest asked;
  asked.prompt = request.prompt;
  asked.slo = request.slo;
  asked.max_tokens = request.max_tokens;
  asked.expected_tokens = request.plan.n_output_tokens;
  asked.stop = {"\n"};
  asked.confidence = request.plan.confidence;
  asked.cancel = &cancel;
  asked.level = route.level;
  asked.keep_ratio = route.keep_ratio;
  // What was late before the call counts from the request's arrival, and so against its target.
  const double late_ms = Milliseconds(Clock::now() - arrival).count();
  asked.slo.ttft_ms = std::max(1e-3, asked.slo.ttft_ms - late_ms);
  const Result<Answer> answer = route.service->generate(asked);
  return answer.has_value() ? outcome_of(request, *answer, contender, route, late_ms) : Outcome{};
}

}  // namespace

Status replay(const Trace& trace, std::size_t begin, Contender& contender,
              const std::function<Status()>& while_waiting, std::span<Outcome> outcomes) {
  std::atomic<std::size_t> next{0}, n_finished{0};
  CancelToken cancel;
  const Clock::time_point start = Clock::now() + std::chrono::milliseconds(5);
  const double first_ms = trace.requests[begin].arrival_ms;
  const auto client = [&] {
    for (std::size_t i = next.fetch_add(1); i < outcomes.size(); i = next.fetch_add(1)) {
      const TraceRequest& request = trace.requests[begin + i];
      const Clock::time_point arrival =
          start + std::chrono::duration_cast<Clock::duration>(Milliseconds(request.arrival_ms - first_ms));
      std::this_thread::sleep_until(arrival);
      if (!cancel.cancelled()) outcomes[i] = ask(request, begin + i, contender, arrival, cancel);
      n_finished.fetch_add(1);
    }
  };
  std::vector<std::thread> clients;
  for (std::size_t i = 0; i < std::min(kMaxClients, outcomes.size()); ++i) clients.emplace_back(client);
  Status status;
  while (status.ok() && n_finished.load() < outcomes.size()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    status = while_waiting();
  }
  if (!status.ok()) cancel.cancel();
  for (std::thread& thread : clients) thread.join();
  return status;
}

}  // namespace elms::inline v0::offline
