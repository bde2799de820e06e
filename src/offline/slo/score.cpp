#include "offline/slo/score.hpp"

#include <algorithm>
#include <vector>

#include "elms/detail/latency_fit.hpp"

namespace elms::inline v0::offline {
namespace {

OverTarget over_target(std::vector<double> ratios) {
  std::sort(ratios.begin(), ratios.end());
  return {detail::quantile(ratios, 0.50), detail::quantile(ratios, 0.95), detail::quantile(ratios, 0.99)};
}

class ScoreSum {
 public:
  void add(const TraceRequest& request, const Outcome& outcome) {
    const bool ttft = outcome.answered && outcome.ttft_ms <= request.slo.ttft_ms;
    const bool tpot = outcome.answered && outcome.tpot_ms <= request.slo.tpot_ms;
    ++n_;
    n_right_ += outcome.right;
    n_right_in_time_ += outcome.right && ttft && tpot;
    n_ttft_ += ttft;
    n_tpot_ += tpot;
    n_both_ += ttft && tpot;
    n_feasible_ += request.feasible;
    n_feasible_met_ += request.feasible && ttft && tpot;
    n_promised_ += outcome.promised;
    n_promised_met_ += outcome.promised && ttft && tpot;
    width_ += outcome.width;
    keep_ratio_ += outcome.keep_ratio;
    if (!outcome.answered) return;
    ttft_ratios_.push_back(outcome.ttft_ms / request.slo.ttft_ms);
    if (outcome.tpot_ms > 0.0) tpot_ratios_.push_back(outcome.tpot_ms / request.slo.tpot_ms);
  }

  [[nodiscard]] SloScore score() const {
    const auto share = [](std::int64_t part, std::int64_t whole) {
      return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
    };
    SloScore score;
    score.n = n_;
    score.n_feasible = n_feasible_;
    score.n_promised = n_promised_;
    score.accuracy = share(n_right_, n_);
    score.accuracy_in_time = share(n_right_in_time_, n_);
    score.ttft_attained = share(n_ttft_, n_);
    score.tpot_attained = share(n_tpot_, n_);
    score.attained = share(n_both_, n_);
    score.attained_of_feasible = share(n_feasible_met_, n_feasible_);
    score.attained_of_promised = share(n_promised_met_, n_promised_);
    score.mean_width = n_ == 0 ? 0.0 : width_ / static_cast<double>(n_);
    score.mean_keep_ratio = n_ == 0 ? 0.0 : keep_ratio_ / static_cast<double>(n_);
    score.ttft_over_target = over_target(ttft_ratios_);
    score.tpot_over_target = over_target(tpot_ratios_);
    return score;
  }

 private:
  std::int64_t n_ = 0, n_right_ = 0, n_right_in_time_ = 0, n_ttft_ = 0, n_tpot_ = 0, n_both_ = 0;
  std::int64_t n_feasible_ = 0, n_feasible_met_ = 0, n_promised_ = 0, n_promised_met_ = 0;
  double width_ = 0.0, keep_ratio_ = 0.0;
  std::vector<double> ttft_ratios_, tpot_ratios_;
};

}  // namespace

SloStrategyResult score_outcomes(const Trace& trace, std::size_t n_classes, const Contender& contender,
                                 std::span<const Outcome> outcomes) {
  SloStrategyResult result;
  result.name = contender.name();
  result.memory_bytes = contender.memory_bytes();
  std::vector<ScoreSum> classes(n_classes);
  ScoreSum total;
  const auto n = static_cast<double>(outcomes.size());
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    const TraceRequest& request = trace.requests[i];
    const Outcome& outcome = outcomes[i];
    classes[request.slo_class].add(request, outcome);
    total.add(request, outcome);
    result.mean_ttft_ms += outcome.ttft_ms / n;
    result.mean_refine_ms += outcome.refine_ms / n;
    result.mean_plan_ms += outcome.plan_ms / n;
    result.n_level_changes += static_cast<std::int64_t>(outcome.n_level_changes);
  }
  for (const ScoreSum& sum : classes) result.per_class.push_back(sum.score());
  result.total = total.score();
  return result;
}

}  // namespace elms::inline v0::offline
