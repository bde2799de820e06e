// Keeps an answer's TPOT in time by changing the level between tokens.
//
// The target is for the mean of all tokens after the first. After each of them the rest of the answer (as
// long as it may still become, at most kHorizon tokens) is predicted from a smoothed time of the last tokens,
// in which one stalled token counts little; where the mean would end above the target the level narrows at
// once, to the widest one whose predicted rest keeps the target, but not below the level whose answers are
// worth it. It widens one step at a time, never above the plan's level, when the mean would end clearly below
// the target even so, several tokens in a row: that is the hysteresis. Entries of the KV cache
// stay as they were computed (detail/kv_cache.hpp): a token at another level attends to them as they are,
// with plain multi-head attention only to heads that it and they have.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>

namespace elms::inline v0::detail {

struct PacerOptions {
  double target_ms = 0.0;  ///< TPOT
  int planned_level = 0;   ///< the widest one to use
  int narrowest_level = 0;
  std::int32_t n_tokens = 0;  ///< that the answer may have after the first
};

/// One answer's; one thread. The cost of a level is given as a function of it: predicted milliseconds of a
/// token.
class Pacer {
 public:
  static constexpr std::int32_t kHorizon = 32;
  static constexpr double kSafety = 0.97;  ///< narrow when the mean would end above this share of the target
  static constexpr double kSlack = 0.85;   ///< widen when it would end below this one
  static constexpr int kPatience = 4;      ///< tokens in a row that must show the slack
  static constexpr double kSmoothing = 0.35;  ///< weight of the last token
  /// A token counts as at most so many times what was expected of it, unless the one before was as slow.
  static constexpr double kStall = 2.0;

  Pacer(const PacerOptions& options, std::function<double(int level)> cost_ms)
      : options_(options), cost_ms_(std::move(cost_ms)), level_(options.planned_level) {}

  /// Tells how long a token took at the current level; the level for the next one.
  int next_level(double token_ms) {
    ++n_done_;
    elapsed_ms_ += token_ms;
    const double predicted = std::max(1e-6, cost_ms_(level_));
    const double slowness = token_ms / predicted;
    const double believed = std::min(slowness, std::max(kStall * slowness_, last_slowness_));
    slowness_ += kSmoothing * (believed - slowness_);
    last_slowness_ = slowness;
    if (mean_at_end(level_) > kSafety * options_.target_ms) {
      while (level_ > options_.narrowest_level && mean_at_end(level_) > kSafety * options_.target_ms)
        --level_;
      n_slack_ = 0;
    } else if (level_ < options_.planned_level && mean_at_end(level_ + 1) < kSlack * options_.target_ms) {
      if (++n_slack_ >= kPatience) {
        ++level_;
        n_slack_ = 0;
      }
    } else {
      n_slack_ = 0;
    }
    return level_;
  }

 private:
  /// Mean time of a token when the rest runs at `level`.
  [[nodiscard]] double mean_at_end(int level) const {
    const std::int32_t n_left = std::clamp(options_.n_tokens - n_done_, 1, kHorizon);
    return (elapsed_ms_ + n_left * slowness_ * cost_ms_(level)) / static_cast<double>(n_done_ + n_left);
  }

  PacerOptions options_;
  std::function<double(int)> cost_ms_;
  int level_;
  std::int32_t n_done_ = 0;
  double elapsed_ms_ = 0.0;
  double slowness_ = 1.0;  ///< measured over predicted, smoothed
  double last_slowness_ = 1.0;
  int n_slack_ = 0;
};

}  // namespace elms::inline v0::detail
