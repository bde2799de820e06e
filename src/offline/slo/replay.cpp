#include "offline/slo/replay.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "elms/detail/error.hpp"
#include "elms/types.hpp"

namespace elms::inline v0::offline {
namespace {

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

/// A part of a trace on its way through a contender.
class Replay {
 public:
  Replay(const Trace& trace, std::size_t begin, Contender& contender, ReplayClock& clock,
         std::span<Outcome> outcomes)
      : trace_(trace), begin_(begin), contender_(contender), clock_(clock), outcomes_(outcomes) {}

  Status in_real_time(const std::function<Status()>& while_waiting) {
    constexpr double kHeadStart = 5.0;  // until the threads are there
    start_ms_ = clock_.now_ms() + kHeadStart;
    std::vector<std::thread> clients;
    for (std::size_t i = 0; i < std::min(kMaxClients, outcomes_.size()); ++i)
      clients.emplace_back([this] { run_client(); });
    Status status;
    while (status.ok() && n_finished_.load() < outcomes_.size()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
      status = while_waiting();
    }
    if (!status.ok()) cancel_.cancel();
    for (std::thread& thread : clients) thread.join();
    return status;
  }

  Status in_cpu_time(const std::function<Status()>& while_waiting) {
    start_ms_ = clock_.now_ms();
    std::vector<std::size_t> waiting;
    std::size_t n_arrived = 0;
    while (n_arrived < outcomes_.size() || !waiting.empty()) {
      if (waiting.empty()) clock_.wait_until(arrival_ms(n_arrived));
      while (n_arrived < outcomes_.size() && arrival_ms(n_arrived) <= clock_.now_ms())
        waiting.push_back(n_arrived++);
      if (waiting.empty()) continue;
      const auto first = std::min_element(waiting.begin(), waiting.end(), [&](std::size_t a, std::size_t b) {
        return deadline_ms(a) < deadline_ms(b);
      });
      outcomes_[*first] = ask(*first);
      waiting.erase(first);
      ELMS_RETURN_IF_ERROR(while_waiting());
    }
    return {};
  }

 private:
  [[nodiscard]] const TraceRequest& request(std::size_t i) const { return trace_.requests[begin_ + i]; }
  [[nodiscard]] double arrival_ms(std::size_t i) const {
    return start_ms_ + request(i).arrival_ms - trace_.requests[begin_].arrival_ms;
  }
  [[nodiscard]] double deadline_ms(std::size_t i) const { return arrival_ms(i) + request(i).slo.ttft_ms; }

  void run_client() {
    for (std::size_t i = next_.fetch_add(1); i < outcomes_.size(); i = next_.fetch_add(1)) {
      clock_.wait_until(arrival_ms(i));
      if (!cancel_.cancelled()) outcomes_[i] = ask(i);
      n_finished_.fetch_add(1);
    }
  }

  Outcome ask(std::size_t i) {
    const TraceRequest& wanted = request(i);
    const Route route = contender_.route(wanted, begin_ + i);
    ServiceRequest asked;
    asked.prompt = wanted.prompt;
    asked.slo = wanted.slo;
    asked.max_tokens = wanted.max_tokens;
    asked.expected_tokens = wanted.plan.n_output_tokens;
    asked.stop = {"\n"};
    asked.confidence = wanted.plan.confidence;
    asked.cancel = &cancel_;
    asked.level = route.level;
    asked.keep_ratio = route.keep_ratio;
    // What was late before the call counts from the request's arrival, and so against its target.
    const double late_ms = std::max(0.0, clock_.now_ms() - arrival_ms(i));
    asked.slo.ttft_ms = std::max(1e-3, asked.slo.ttft_ms - late_ms);
    const Result<Answer> answer = route.service->generate(asked);
    return answer.has_value() ? outcome_of(wanted, *answer, contender_, route, late_ms) : Outcome{};
  }

  const Trace& trace_;
  std::size_t begin_;
  Contender& contender_;
  ReplayClock& clock_;
  std::span<Outcome> outcomes_;
  double start_ms_ = 0.0;
  std::atomic<std::size_t> next_{0}, n_finished_{0};
  CancelToken cancel_;
};

}  // namespace

Status replay(const Trace& trace, std::size_t begin, Contender& contender, ReplayClock& clock,
              const std::function<Status()>& while_waiting, std::span<Outcome> outcomes) {
  Replay part(trace, begin, contender, clock, outcomes);
  return clock.is_cpu_time() ? part.in_cpu_time(while_waiting) : part.in_real_time(while_waiting);
}

}  // namespace elms::inline v0::offline
