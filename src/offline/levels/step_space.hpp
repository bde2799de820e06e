// The slices of a model as counts of steps: what a search over levels moves in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "elms/detail/cost.hpp"
#include "elms/detail/ladder.hpp"
#include "elms/offline/importance.hpp"
#include "offline/levels/slice_steps.hpp"

namespace elms::inline v0::offline {

using Slices = std::vector<LayerShape>;

/// What is cut together: the heads of a layer, or its FFN units.
struct CutGroup {
  std::size_t layer = 0;
  UnitKind kind = UnitKind::kFfnUnits;
};

class StepSpace {
 public:
  StepSpace(const detail::CostModel& cost, const ModelConfig& config, const detail::SliceRules& rules);

  [[nodiscard]] const std::vector<CutGroup>& groups() const noexcept { return groups_; }
  [[nodiscard]] const ModelConfig& config() const noexcept { return config_; }
  [[nodiscard]] const Slices& narrowest() const noexcept { return narrowest_; }
  [[nodiscard]] std::uint64_t bytes(const Slices& slices) const noexcept {
    return cost_.bytes_per_token(slices);
  }
  /// The most bytes that a cost share allows.
  [[nodiscard]] bool fits(const Slices& slices, double target) const noexcept {
    return cost_.cost_share(slices) <= target;
  }

  /// Steps by which a group can still shrink.
  [[nodiscard]] std::size_t steps_left(const Slices& slices, std::size_t group) const;
  /// At most n steps less, or more up to `upper`; the number of steps made.
  std::size_t shrink(Slices& slices, std::size_t group, std::size_t n) const;
  std::size_t grow(Slices& slices, std::size_t group, std::size_t n, const Slices& upper) const;
  /// Bytes of a group's widest step.
  [[nodiscard]] std::uint64_t step_bytes(std::size_t group) const;

  /// Sums of the scores of the units of every step of a group, from the narrowest slice's up:
  /// [groups][steps].
  [[nodiscard]] std::vector<std::vector<double>> step_scores(const Importance& importance) const;

  /// Takes steps away, the one of least loss per byte first, until the target holds or nothing can be taken.
  /// loss(group, steps_left) is what the next step of a group loses.
  void shrink_to(Slices& slices, double target,
                 const std::function<double(std::size_t, std::size_t)>& loss) const;
  /// Grows by steps of greatest loss per byte, as long as the target and `upper` allow.
  void fill(Slices& slices, double target, const Slices& upper,
            const std::function<double(std::size_t, std::size_t)>& loss) const;

 private:
  const detail::CostModel& cost_;
  const ModelConfig& config_;
  detail::SliceRules rules_;
  std::vector<CutGroup> groups_;
  Slices narrowest_;
};

}  // namespace elms::inline v0::offline
