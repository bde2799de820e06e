#include "offline/levels/level_search.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "offline/allocation.hpp"
#include "offline/levels/step_space.hpp"
#include "offline/progress_meter.hpp"

namespace elms::inline v0::offline {

namespace {

using StepLoss = std::function<double(std::size_t, std::size_t)>;

/// What the full model loses when one group alone shrinks, from a few measurements.
class LossCurves {
 public:
  LossCurves(const StepSpace& space, DivergenceMeter& meter)
      : space_(space), meter_(meter), losses_(space.groups().size()) {}

  /// Measures one group at a few depths; between them the loss per step is constant, and it never falls with
  /// depth.
  void measure(std::size_t group) {
    const std::size_t n_steps = space_.steps_left(space_.config().layers, group);
    losses_[group].assign(n_steps, 0.0);
    std::size_t removed = 0;
    double before = 0.0, slope = 0.0;
    for (const std::size_t quarter : {std::size_t{1}, std::size_t{2}, std::size_t{4}}) {
      const std::size_t upto = std::max<std::size_t>(1, n_steps * quarter / 4);
      if (upto <= removed) continue;
      Slices slices = space_.config().layers;
      space_.shrink(slices, group, upto);
      const double loss = meter_.measure(slices);
      slope = std::max(slope, (loss - before) / static_cast<double>(upto - removed));
      for (; removed < upto; ++removed) losses_[group][n_steps - 1 - removed] = slope;
      before = loss;
    }
  }

  /// Of taking the step that leaves steps_left - 1.
  [[nodiscard]] double step_loss(std::size_t group, std::size_t steps_left) const {
    return losses_[group][steps_left - 1];
  }

 private:
  const StepSpace& space_;
  DivergenceMeter& meter_;
  std::vector<std::vector<double>> losses_;  ///< [groups][steps left - 1]
};

struct Measured {
  Slices slices;
  double divergence = std::numeric_limits<double>::infinity();
};

/// Improves one level by moving steps between groups at the same cost.
class Exchange {
 public:
  Exchange(const StepSpace& space, DivergenceMeter& meter, const Slices& upper, double target,
           std::size_t max_measurements)
      : space_(space), meter_(meter), upper_(upper), target_(target), left_(max_measurements) {}

  /// quantum_bytes: what one move takes and gives, about; it is halved when no move helps, down to single
  /// steps.
  void run(Measured& level, std::uint64_t quantum_bytes) {
    for (; left_ > 2 * space_.groups().size(); quantum_bytes /= 2) {
      set_strides(quantum_bytes);
      deltas_.assign(space_.groups().size(), {});
      for (std::size_t group = deltas_.size(); group-- > 0;) measure_deltas(level, group);
      while (left_ > kTries + 4 && improve(level)) {
      }
      const bool single =
          std::all_of(strides_.begin(), strides_.end(), [](std::size_t stride) { return stride == 1; });
      if (single) break;
    }
  }

 private:
  static constexpr std::size_t kTries = 4;

  /// What a stride less loses and a stride more gains, at the level as it was when that was measured.
  struct Deltas {
    double loss = std::numeric_limits<double>::infinity(), gain = 0.0;
    std::size_t grown = 0;  ///< steps of the gain
  };
  struct Move {
    std::size_t from = 0, to = 0;
    Slices slices;
    double predicted = 0.0;
  };

  void set_strides(std::uint64_t quantum_bytes) {
    strides_.clear();
    for (std::size_t group = 0; group < space_.groups().size(); ++group) {
      strides_.push_back(
          static_cast<std::size_t>(std::max<std::uint64_t>(1, quantum_bytes / space_.step_bytes(group))));
    }
  }

  double measure(const Slices& slices) {
    left_ -= std::min<std::size_t>(left_, 1);
    return meter_.measure(slices);
  }

  void measure_deltas(const Measured& level, std::size_t group) {
    Deltas& deltas = deltas_[group];
    deltas = {};
    Slices narrower = level.slices, wider = level.slices;
    if (space_.shrink(narrower, group, strides_[group]) > 0)
      deltas.loss = measure(narrower) - level.divergence;
    deltas.grown = space_.grow(wider, group, strides_[group], upper_);
    if (deltas.grown > 0) deltas.gain = level.divergence - measure(wider);
  }

  /// Takes a stride from one group and gives the other as much of it as the target allows.
  void add_move(const Measured& level, std::size_t from, std::size_t to, std::vector<Move>& moves) const {
    const Deltas& giver = deltas_[from];
    const Deltas& taker = deltas_[to];
    if (from == to || taker.grown == 0 || !(giver.loss < std::numeric_limits<double>::infinity())) return;
    Move move{from, to, level.slices, 0.0};
    space_.shrink(move.slices, from, strides_[from]);
    std::size_t grown = 0;
    for (; grown < taker.grown; ++grown) {
      Slices wider = move.slices;
      if (space_.grow(wider, to, 1, upper_) == 0 || !space_.fits(wider, target_)) break;
      move.slices = std::move(wider);
    }
    if (grown == 0) return;
    move.predicted = giver.loss - taker.gain * static_cast<double>(grown) / static_cast<double>(taker.grown);
    if (move.predicted < 0.0) moves.push_back(std::move(move));
  }

  /// Tries the moves that promise most; true when one helped, which then is made.
  bool improve(Measured& level) {
    std::vector<Move> moves;
    for (std::size_t from = 0; from < deltas_.size(); ++from) {
      for (std::size_t to = 0; to < deltas_.size(); ++to) add_move(level, from, to, moves);
    }
    std::stable_sort(moves.begin(), moves.end(),
                     [](const Move& a, const Move& b) { return a.predicted < b.predicted; });
    for (std::size_t i = 0; i < std::min(kTries, moves.size()) && left_ > 0; ++i) {
      const double divergence = measure(moves[i].slices);
      if (!(divergence < level.divergence)) continue;
      level = {std::move(moves[i].slices), divergence};
      measure_deltas(level, moves[i].from);
      measure_deltas(level, moves[i].to);
      return true;
    }
    return false;
  }

  const StepSpace& space_;
  DivergenceMeter& meter_;
  const Slices& upper_;
  double target_;
  std::size_t left_;
  std::vector<std::size_t> strides_;  ///< [groups] steps
  std::vector<Deltas> deltas_;        ///< [groups]
};

Slices within(const Slices& slices, const Slices& upper) {
  Slices out = slices;
  for (std::size_t layer = 0; layer < out.size(); ++layer) {
    out[layer].q_heads = std::min(out[layer].q_heads, upper[layer].q_heads);
    out[layer].kv_heads = std::min(out[layer].kv_heads, upper[layer].kv_heads);
    out[layer].ff = std::min(out[layer].ff, upper[layer].ff);
  }
  return out;
}

/// The best of several ways to begin a level.
Measured begin_level(const StepSpace& space, DivergenceMeter& meter, const Slices& upper,
                     std::span<const Slices> known, double target, std::span<const StepLoss> losses) {
  std::vector<Slices> beginnings;
  for (const StepLoss& loss : losses) {
    beginnings.push_back(upper);
    space.shrink_to(beginnings.back(), target, loss);
    space.fill(beginnings.back(), target, upper, loss);
  }
  for (const Slices& slices : known) {
    beginnings.push_back(within(slices, upper));
    space.fill(beginnings.back(), target, upper, losses.front());
  }
  Measured best;
  for (Slices& slices : beginnings) {
    const double divergence = meter.measure(slices);
    if (best.slices.empty() || divergence < best.divergence) best = {std::move(slices), divergence};
  }
  return best;
}

}  // namespace

Result<std::vector<Level>> searched_levels(const detail::CostModel& cost, const ModelConfig& config,
                                           std::span<const double> targets, const detail::SliceRules& rules,
                                           const Importance& importance, DivergenceMeter& meter,
                                           const LevelSearchOptions& options) {
  const StepSpace space(cost, config, rules);
  ProgressMeter progress(options.progress, "levels");
  const std::size_t n_groups = space.groups().size(), n_work = n_groups + targets.size() * 32;
  std::size_t done = 0;
  const auto report = [&](std::size_t work) {
    done += work;
    return progress.report(static_cast<double>(done) / static_cast<double>(n_work));
  };

  LossCurves curves(space, meter);
  for (std::size_t group = n_groups; group-- > 0;) {
    curves.measure(group);
    ELMS_RETURN_IF_ERROR(report(1));
  }
  const std::vector<std::vector<double>> scores = space.step_scores(importance);
  std::vector<StepLoss> losses = {
      [&](std::size_t group, std::size_t left) { return curves.step_loss(group, left); }};
  if (importance.method == ImportanceMethod::kTaylor ||
      importance.method == ImportanceMethod::kTaylorWeights) {
    losses.emplace_back([&](std::size_t group, std::size_t left) { return scores[group][left - 1]; });
  }

  const std::uint64_t cuttable_bytes = space.bytes(config.layers) - space.bytes(space.narrowest());
  std::vector<Slices> found(targets.size());
  Slices upper = config.layers;
  for (std::size_t i = targets.size(); i-- > 0;) {
    if (targets[i] >= 1.0) {
      found[i] = config.layers;
    } else if (!space.fits(space.narrowest(), targets[i])) {
      found[i] = space.narrowest();
    } else {
      const auto known = simple_cuts(cost, config, targets[i], rules, importance);
      Measured level = begin_level(space, meter, upper, known, targets[i], losses);
      Exchange(space, meter, upper, targets[i], options.measurements_per_level)
          .run(level, cuttable_bytes / 24);
      space.fill(level.slices, targets[i], upper, losses.front());
      found[i] = std::move(level.slices);
    }
    upper = found[i];
    ELMS_RETURN_IF_ERROR(report(32));
  }
  std::size_t next = 0;
  return detail::make_levels(cost, config, targets, [&](double) { return found[next++]; });
}

}  // namespace elms::inline v0::offline
