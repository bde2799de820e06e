#include "offline/slo/contender.hpp"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "elms/detail/error.hpp"
#include "elms/detail/random.hpp"
#include "offline/slo/layer_ladder.hpp"

namespace elms::inline v0::offline {
namespace {

/// What a contender's service may do.
struct Abilities {
  std::vector<int> levels;  ///< empty: all
  bool refines = true, decides = true, learns = true, narrows = true;
};

Result<std::shared_ptr<ElasticService>> make_service(const ContenderParts& parts, const Abilities& can) {
  PlannerOptions planner;
  planner.profile = parts.profile;
  planner.keep_ratios = can.refines ? parts.options.keep_ratios : std::vector<double>{1.0};
  planner.levels = can.levels;
  planner.learn = can.learns;
  ServiceOptions service;
  service.model = parts.options.model;
  if (can.refines) service.refiner = parts.options.refiner;
  service.cut_by_question = service.refiner != nullptr;
  ELMS_ASSIGN_OR_RETURN(service.planner, SLOPlanner::create(parts.options.model, std::move(planner)));
  service.decide = can.decides;
  service.learn = can.learns;
  service.narrow_while_decoding = can.narrows;
  service.max_queued = 1 << 20;
  service.now_ms = function_of(parts.clock);
  return ElasticService::create(std::move(service));
}

std::uint64_t memory_of(const ElasticService& service) {
  return service.model().packed_bytes() + service.status().kv_bytes;
}

/// One service, which plans for itself.
class Planned : public Contender {
 public:
  Planned(std::string name, std::shared_ptr<ElasticService> service)
      : Contender(std::move(name)), service_(std::move(service)) {}
  Route route(const TraceRequest&, std::size_t) override { return {service_.get(), {}, {}}; }
  [[nodiscard]] std::uint64_t memory_bytes() const override { return memory_of(*service_); }

 protected:
  [[nodiscard]] ElasticService& service() const noexcept { return *service_; }
  [[nodiscard]] std::span<const Level> levels() const noexcept { return service_->model().levels(); }

 private:
  std::shared_ptr<ElasticService> service_;
};

class Static : public Planned {
 public:
  Static(std::string name, std::shared_ptr<ElasticService> service, int level)
      : Planned(std::move(name), std::move(service)), level_(level) {}
  Route route(const TraceRequest&, std::size_t) override { return {&service(), level_, 1.0}; }

 private:
  int level_;
};

/// ELMS's rule: shares of work stand for shares of time.
class PaperRule : public Planned {
 public:
  PaperRule(std::string name, std::shared_ptr<ElasticService> service)
      : Planned(std::move(name), std::move(service)) {}

  Route route(const TraceRequest& request, std::size_t) override {
    const std::span<const double> keep_ratios = service().planner()->keep_ratios();
    const SloShares& shares = *request.plan.shares;
    for (int level = static_cast<int>(levels().size()) - 1; level >= 0; --level) {
      const double width = levels()[static_cast<std::size_t>(level)].cost_share;
      if (width > shares.tpot + kRounding) continue;
      for (std::size_t k = keep_ratios.size(); k-- > 0;) {
        if (!request.plan.may_refine && keep_ratios[k] < 1.0) break;
        if (width * keep_ratios[k] <= shares.ttft + kRounding) return {&service(), level, keep_ratios[k]};
      }
    }
    return {&service(), 0, request.plan.may_refine ? keep_ratios.front() : 1.0};
  }

 private:
  static constexpr double kRounding = 1e-9;
};

/// Chooses among all strategies with what the planner predicts of each.
class Choosing : public Planned {
 public:
  using Planned::Planned;

 protected:
  /// Strategies that are predicted to meet both targets; the planner's own choice where none does.
  [[nodiscard]] std::vector<Strategy> feasible(const TraceRequest& request) const {
    PlanRequest asked = request.plan;
    asked.n_alternatives = levels().size() * service().planner()->keep_ratios().size() * 2;
    const Plan plan = service().planner()->plan(asked);
    std::vector<Strategy> found = {plan};
    for (const Strategy& other : plan.alternatives) {
      if (other.verdict == Verdict::kLowerQuality || other.verdict == Verdict::kDearer)
        found.push_back(other);
    }
    return found;
  }
  [[nodiscard]] Route to(const Strategy& strategy) const {
    return {&service(), strategy.level, strategy.keep_ratio};
  }
};

class RandomChoice : public Choosing {
 public:
  RandomChoice(std::string name, std::shared_ptr<ElasticService> service, std::uint64_t seed)
      : Choosing(std::move(name), std::move(service)), seed_(seed) {}
  Route route(const TraceRequest& request, std::size_t index) override {
    const std::vector<Strategy> found = feasible(request);
    std::uint64_t state = seed_ + index;
    return to(found[detail::splitmix64(state) % found.size()]);
  }

 private:
  std::uint64_t seed_;
};

class Oracle : public Choosing {
 public:
  Oracle(std::string name, std::shared_ptr<ElasticService> service, const AnswerTable& answers)
      : Choosing(std::move(name), std::move(service)), answers_(answers) {}
  Route route(const TraceRequest& request, std::size_t index) override {
    const std::vector<Strategy> found = feasible(request);
    const auto total_ms = [&](const Strategy& s) {
      return s.ttft_ms + s.tpot_ms * (request.plan.n_output_tokens - 1);
    };
    const Strategy* best = nullptr;
    for (const Strategy& strategy : found) {
      if (!answers_.right(index, strategy.level, strategy.keep_ratio)) continue;
      if (best == nullptr || total_ms(strategy) < total_ms(*best)) best = &strategy;
    }
    return to(best == nullptr ? found.front() : *best);
  }

 private:
  const AnswerTable& answers_;
};

Abilities abilities_of(SloStrategy strategy, int full_level) {
  Abilities can;
  switch (strategy) {
    case SloStrategy::kElms:
      break;
    case SloStrategy::kWidthOnly:
      can.refines = false;
      break;
    case SloStrategy::kPromptOnly:
      can.levels = {full_level};
      can.narrows = false;
      break;
    case SloStrategy::kElmsTable:
      can.decides = false;
      break;
    case SloStrategy::kElmsFixed:
      can.learns = false;
      break;
    case SloStrategy::kElmsUnpaced:
      can.narrows = false;
      break;
    case SloStrategy::kElmsOffline:
      can.learns = can.narrows = false;
      break;
    case SloStrategy::kRandom:
    case SloStrategy::kOracle:
      can.narrows = false;
      break;
    case SloStrategy::kFull:
    case SloStrategy::kStatic:
    case SloStrategy::kPaperRule:
    case SloStrategy::kLayerDropping:
      can.learns = can.narrows = false;
      break;
  }
  return can;
}

std::string static_name(double width) {
  char text[32];
  std::snprintf(text, sizeof text, "%s-%.2f", to_string(SloStrategy::kStatic), width);
  return text;
}

}  // namespace

double Contender::width_of(const Answer& answer, const Route&) const {
  return answer.plan.width;
}

Result<std::vector<std::unique_ptr<Contender>>> make_contenders(SloStrategy strategy,
                                                                const ContenderParts& parts) {
  const auto levels = parts.options.model->levels();
  const int full_level = static_cast<int>(levels.size()) - 1;
  const std::string name = to_string(strategy);
  std::vector<std::unique_ptr<Contender>> made;
  if (strategy == SloStrategy::kLayerDropping) {
    ELMS_ASSIGN_OR_RETURN(made.emplace_back(), make_layer_ladder(name, parts));
    return made;
  }
  ELMS_ASSIGN_OR_RETURN(std::shared_ptr<ElasticService> service,
                        make_service(parts, abilities_of(strategy, full_level)));
  switch (strategy) {
    case SloStrategy::kFull:
      made.push_back(std::make_unique<Static>(name, std::move(service), full_level));
      break;
    case SloStrategy::kStatic:
      for (int level = full_level - 1; level >= 0; --level) {
        made.push_back(std::make_unique<Static>(
            static_name(levels[static_cast<std::size_t>(level)].cost_share), service, level));
      }
      break;
    case SloStrategy::kPaperRule:
      made.push_back(std::make_unique<PaperRule>(name, std::move(service)));
      break;
    case SloStrategy::kRandom:
      made.push_back(std::make_unique<RandomChoice>(name, std::move(service), parts.options.trace_seed));
      break;
    case SloStrategy::kOracle:
      made.push_back(std::make_unique<Oracle>(name, std::move(service), *parts.answers));
      break;
    default:
      made.push_back(std::make_unique<Planned>(name, std::move(service)));
      break;
  }
  return made;
}

}  // namespace elms::inline v0::offline
