// Which row of which source comes when, from a seed and a number alone: nothing has to be remembered to go
// on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace elms::inline v0::offline::train {

/// A permutation of [0, n) for every key: where `index` goes. n > 0. A Feistel network (Luby, Rackoff 1988)
/// over the next power of four, walked until it is back below n (Black, Rogaway 2002): under four steps on
/// average, no memory.
[[nodiscard]] std::uint64_t shuffled(std::uint64_t index, std::uint64_t n, std::uint64_t key) noexcept;

/// Sources take turns so that after any number of draws each has had its share, to within a draw or so.
class Mixture {
 public:
  /// Shares are whole parts of this many.
  static constexpr std::size_t kPeriod = 4096;

  struct Draw {
    std::size_t source;
    std::uint64_t index;  ///< how often the source was drawn before
  };

  /// 1 to kPeriod weights, all above 0. Each source has at least one draw in a period.
  explicit Mixture(const std::vector<double>& weights);

  [[nodiscard]] Draw draw(std::uint64_t number) const noexcept;
  /// Of all draws.
  [[nodiscard]] double share(std::size_t source) const noexcept;

 private:
  struct Slot {
    std::uint16_t source;
    std::uint16_t index;  ///< within the period
  };
  std::vector<std::uint32_t> parts_;  ///< [n_sources], together kPeriod
  std::vector<Slot> slots_;           ///< [kPeriod]
};

}  // namespace elms::inline v0::offline::train
