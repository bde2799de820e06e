#include "offline/slo/trace.hpp"

#include <algorithm>
#include <cmath>

#include "elms/detail/error.hpp"
#include "elms/detail/random.hpp"
#include "elms/detail/refine/survey.hpp"
#include "elms/detail/service/prompt_shape.hpp"

namespace elms::inline v0::offline {
namespace {

using Random = detail::Xoshiro256;

/// In [0, 1).
double uniform(Random& random) {
  return static_cast<double>(random.next() >> 11) * 0x1p-53;
}

/// Index of a class, drawn by weight.
std::size_t draw_class(Random& random, std::span<const double> weights) {
  double total = 0.0;
  for (const double weight : weights) total += weight;
  double at = uniform(random) * total;
  for (std::size_t i = 0; i + 1 < weights.size(); ++i) {
    if (at < weights[i]) return i;
    at -= weights[i];
  }
  return weights.size() - 1;
}

std::vector<double> class_weights(std::size_t n, double skew) {
  std::vector<double> weights(n, 1.0);
  for (std::size_t i = 0; i < n && n > 1; ++i) {
    weights[i] = std::exp(skew * (2.0 * static_cast<double>(i) / static_cast<double>(n - 1) - 1.0));
  }
  return weights;
}

/// Items of all tasks in turn, each task's in a shuffled order, from the start again when all were used.
class ItemDeck {
 public:
  ItemDeck(std::span<const TaskFile> tasks, Random& random) : tasks_(tasks) {
    for (const TaskFile& task : tasks) {
      std::vector<std::size_t>& order = orders_.emplace_back(task.items.size());
      for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
      for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
    }
  }
  const TaskItem& next() {
    const std::size_t task = n_drawn_ % tasks_.size(), round = n_drawn_ / tasks_.size();
    ++n_drawn_;
    return tasks_[task].items[orders_[task][round % orders_[task].size()]];
  }

 private:
  std::span<const TaskFile> tasks_;
  std::vector<std::vector<std::size_t>> orders_;
  std::size_t n_drawn_ = 0;
};

TraceRequest request_of(const TaskItem& item, std::size_t slo_class, const SloEvalOptions& options,
                        const Tokenizer& tokenizer) {
  TraceRequest request;
  static_cast<Question&>(request) = question_of(item, options.max_answer_tokens);
  request.slo_class = slo_class;
  const detail::refine::Survey survey = detail::refine::survey(request.prompt, {});  // as the service does
  detail::PromptShape(tokenizer, request.prompt, survey.always, true).describe(0, request.plan);
  request.plan.may_refine = options.refiner != nullptr && request.plan.n_compressible_tokens > 0;
  if (survey.question_says) request.plan.n_refine_words = 0;
  request.plan.confidence = options.confidence;
  request.plan.policy = InfeasiblePolicy::kBestEffort;
  request.plan.context_tokens = options.model->config().context_length;
  const std::size_t n_answer = tokenizer.encode(request.answer, {.add_special = false}).size() + 1;
  request.plan.n_output_tokens =
      std::clamp(static_cast<std::int32_t>(n_answer), 2, options.max_answer_tokens);
  return request;
}

}  // namespace

Result<Trace> make_trace(std::span<const TaskFile> tasks, const SloEvalOptions& options,
                         const SLOPlanner& planner, const Tokenizer& tokenizer) {
  Random random(options.trace_seed);
  const std::vector<double> weights = class_weights(options.classes.size(), options.skew);
  ItemDeck deck(tasks, random);
  Trace trace;
  const auto n = static_cast<double>(options.n_requests);
  double mean_service_ms = 0.0;
  Slo mean_full{0.0, 0.0};
  for (std::int64_t i = 0; i < options.n_requests; ++i) {
    const TaskItem& item = deck.next();
    TraceRequest& request =
        trace.requests.emplace_back(request_of(item, draw_class(random, weights), options, tokenizer));
    const std::int32_t n_prompt = request.plan.n_compressible_tokens + request.plan.n_protected_tokens;
    if (n_prompt + options.max_answer_tokens > request.plan.context_tokens) {
      return detail::error(StatusCode::kOutOfContext, "slo: a prompt of ", n_prompt, " tokens and ",
                           options.max_answer_tokens, " of the answer do not fit into ",
                           request.plan.context_tokens);
    }
    const Slo full = planner.full_latency(request.plan);
    request.plan.shares = options.classes[request.slo_class].shares;
    request.slo = request.plan.slo = planner.slo_of(*request.plan.shares, request.plan);
    request.feasible = planner.plan(request.plan).feasible;
    mean_full.ttft_ms += full.ttft_ms / n;
    mean_full.tpot_ms += full.tpot_ms / n;
    trace.mean_prompt_tokens += n_prompt / n;
    mean_service_ms += (full.ttft_ms + full.tpot_ms * (request.plan.n_output_tokens - 1)) / n;
  }
  trace.mean_full = mean_full;
  double at_ms = 0.0;
  for (TraceRequest& request : trace.requests) {
    request.arrival_ms = at_ms;
    at_ms += -std::log(1.0 - uniform(random)) * mean_service_ms / options.load;
  }
  return trace;
}

}  // namespace elms::inline v0::offline
