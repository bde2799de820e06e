// A level: one of the sizes that an elastic model can run at.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "elms/model_config.hpp"

namespace elms::inline v0 {

/// A nested prefix of every layer. Level i of a model is contained in level i + 1; the last one is the full model.
struct Level {
  /// The level's name and its real cost: weight bytes that decoding one token reads, output head included, over those of
  /// the full model. (0, 1]
  double cost_share = 1.0;
  std::uint64_t bytes_per_token = 0;
  std::vector<LayerShape> layers;  ///< [n_layers]
};

/// The level to use for a width in (0, 1]: the widest one whose cost share is at most `width` (a share stated with two or
/// three digits finds its level), or the narrowest level where all cost more. Levels ascend; there is at least one.
[[nodiscard]] inline int level_for_width(std::span<const Level> levels, double width) noexcept {
  constexpr double kStatedPrecision = 5e-4;
  int level = 0;
  while (level + 1 < static_cast<int>(levels.size()) &&
         levels[static_cast<std::size_t>(level) + 1].cost_share <= width + kStatedPrecision) {
    ++level;
  }
  return level;
}

}  // namespace elms::inline v0
