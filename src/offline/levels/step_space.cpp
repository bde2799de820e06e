#include "offline/levels/step_space.hpp"

#include <algorithm>
#include <limits>

namespace elms::inline v0::offline {

namespace {

std::int32_t units_of(const LayerShape& slice, UnitKind kind) {
  return kind == UnitKind::kHeads ? slice.q_heads : slice.ff;
}

/// Scores of the units that `wider` has beyond `slice`. Heads lie group by group: a step is one rank of all
/// groups.
double score_between(const LayerShape& full, const LayerShape& slice, const LayerShape& wider, UnitKind kind,
                     const std::vector<float>& scores) {
  double sum = 0.0;
  if (kind == UnitKind::kFfnUnits) {
    for (std::int32_t u = slice.ff; u < wider.ff; ++u)
      sum += static_cast<double>(scores[static_cast<std::size_t>(u)]);
    return sum;
  }
  const std::int32_t n_groups = full.q_heads == full.kv_heads ? 1 : full.kv_heads;
  const std::int32_t ranks = full.q_heads / n_groups;
  for (std::int32_t h = 0; h < full.q_heads; ++h) {
    const std::int32_t rank = h % ranks;
    if (rank >= slice.q_heads / n_groups && rank < wider.q_heads / n_groups)
      sum += static_cast<double>(scores[static_cast<std::size_t>(h)]);
  }
  return sum;
}

}  // namespace

StepSpace::StepSpace(const detail::CostModel& cost, const ModelConfig& config,
                     const detail::SliceRules& rules)
    : cost_(cost), config_(config), rules_(rules) {
  for (const LayerShape& full : config.layers) narrowest_.push_back(detail::uniform_slice(full, 0.0, rules));
  for (std::size_t layer = 0; layer < config.layers.size(); ++layer) {
    for (const UnitKind kind : {UnitKind::kHeads, UnitKind::kFfnUnits}) {
      if (units_of(narrowest_[layer], kind) < units_of(config.layers[layer], kind))
        groups_.push_back({layer, kind});
    }
  }
}

std::size_t StepSpace::shrink(Slices& slices, std::size_t group, std::size_t n) const {
  const CutGroup& g = groups_[group];
  std::size_t made = 0;
  for (; made < n && units_of(slices[g.layer], g.kind) > units_of(narrowest_[g.layer], g.kind); ++made) {
    shrink_slice(config_.layers[g.layer], g.kind, rules_, slices[g.layer]);
  }
  return made;
}

std::size_t StepSpace::grow(Slices& slices, std::size_t group, std::size_t n, const Slices& upper) const {
  const CutGroup& g = groups_[group];
  std::size_t made = 0;
  for (; made < n && units_of(slices[g.layer], g.kind) < units_of(upper[g.layer], g.kind); ++made) {
    grow_slice(config_.layers[g.layer], g.kind, rules_, slices[g.layer]);
  }
  return made;
}

std::size_t StepSpace::steps_left(const Slices& slices, std::size_t group) const {
  Slices narrower = slices;
  return shrink(narrower, group, std::numeric_limits<std::size_t>::max());
}

std::uint64_t StepSpace::step_bytes(std::size_t group) const {
  Slices wider = narrowest_;
  grow(wider, group, 1, config_.layers);
  return bytes(wider) - bytes(narrowest_);
}

std::vector<std::vector<double>> StepSpace::step_scores(const Importance& importance) const {
  std::vector<std::vector<double>> scores;
  for (std::size_t group = 0; group < groups_.size(); ++group) {
    const CutGroup& g = groups_[group];
    const std::vector<float>& units =
        (g.kind == UnitKind::kHeads ? importance.heads : importance.ffn_units)[g.layer];
    std::vector<double>& steps = scores.emplace_back();
    Slices slices = narrowest_;
    for (LayerShape before = slices[g.layer]; grow(slices, group, 1, config_.layers) == 1;
         before = slices[g.layer]) {
      steps.push_back(score_between(config_.layers[g.layer], before, slices[g.layer], g.kind, units));
    }
  }
  return scores;
}

void StepSpace::shrink_to(Slices& slices, double target,
                          const std::function<double(std::size_t, std::size_t)>& loss) const {
  while (!fits(slices, target)) {
    double least = std::numeric_limits<double>::infinity();
    std::size_t chosen = groups_.size();
    for (std::size_t group = 0; group < groups_.size(); ++group) {
      const std::size_t left = steps_left(slices, group);
      if (left == 0) continue;
      const double per_byte = loss(group, left) / static_cast<double>(step_bytes(group));
      if (chosen == groups_.size() || per_byte < least) {
        least = per_byte;
        chosen = group;
      }
    }
    if (chosen == groups_.size()) return;
    shrink(slices, chosen, 1);
  }
}

void StepSpace::fill(Slices& slices, double target, const Slices& upper,
                     const std::function<double(std::size_t, std::size_t)>& loss) const {
  for (;;) {
    double greatest = -std::numeric_limits<double>::infinity();
    Slices best;
    for (std::size_t group = 0; group < groups_.size(); ++group) {
      Slices wider = slices;
      if (grow(wider, group, 1, upper) == 0 || !fits(wider, target)) continue;
      const double per_byte = loss(group, steps_left(wider, group)) / static_cast<double>(step_bytes(group));
      if (best.empty() || per_byte > greatest) {
        greatest = per_byte;
        best = std::move(wider);
      }
    }
    if (best.empty()) return;
    slices = std::move(best);
  }
}

}  // namespace elms::inline v0::offline
