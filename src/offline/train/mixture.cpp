#include "offline/train/mixture.hpp"

#include <algorithm>
#include <bit>
#include <numeric>

#include "elms/detail/random.hpp"

namespace elms::inline v0::offline::train {
namespace {

/// Whole parts of the period in proportion to weights, rounded so that none is 0 and they make up the whole.
std::vector<std::uint32_t> parts_of(const std::vector<double>& weights) {
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  const std::size_t n = weights.size();
  std::vector<std::uint32_t> parts(n);
  std::vector<double> exact(n);
  std::size_t given = 0;
  for (std::size_t s = 0; s < n; ++s) {
    exact[s] = weights[s] / sum * static_cast<double>(Mixture::kPeriod);
    parts[s] = std::max(1u, static_cast<std::uint32_t>(exact[s]));
    given += parts[s];
  }
  const auto owed = [&](std::size_t s) { return exact[s] - static_cast<double>(parts[s]); };
  for (; given != Mixture::kPeriod; given < Mixture::kPeriod ? ++given : --given) {
    std::size_t chosen = n;
    for (std::size_t s = 0; s < n; ++s) {
      if (given > Mixture::kPeriod && parts[s] == 1) continue;
      const bool better =
          chosen == n || (given < Mixture::kPeriod ? owed(s) > owed(chosen) : owed(s) < owed(chosen));
      if (better) chosen = s;
    }
    parts[chosen] += given < Mixture::kPeriod ? 1u : ~0u;
  }
  return parts;
}

}  // namespace

std::uint64_t shuffled(std::uint64_t index, std::uint64_t n, std::uint64_t key) noexcept {
  const int half_bits = std::max(1, (static_cast<int>(std::bit_width(n - 1)) + 1) / 2);
  const std::uint64_t mask = (std::uint64_t{1} << half_bits) - 1;
  do {
    std::uint64_t left = index >> half_bits, right = index & mask;
    for (std::uint64_t round = 0; round < 6; ++round) {
      std::uint64_t state = key ^ (right << 3 | round);
      const std::uint64_t next = left ^ (detail::splitmix64(state) & mask);
      left = right;
      right = next;
    }
    index = left << half_bits | right;
  } while (index >= n);
  return index;
}

Mixture::Mixture(const std::vector<double>& weights) : parts_(parts_of(weights)), slots_(kPeriod) {
  std::vector<std::uint16_t> drawn(weights.size());
  for (std::size_t slot = 0; slot < kPeriod; ++slot) {
    // The one that is owed most. What is owed makes up a whole draw, so the most is more than nothing, and no
    // source gets more than its parts.
    const auto owed = [&](std::size_t s) {
      return static_cast<std::int64_t>((slot + 1) * parts_[s]) -
             static_cast<std::int64_t>(drawn[s] * kPeriod);
    };
    std::size_t chosen = 0;
    for (std::size_t s = 1; s < parts_.size(); ++s) {
      if (owed(s) > owed(chosen)) chosen = s;
    }
    slots_[slot] = {static_cast<std::uint16_t>(chosen), drawn[chosen]++};
  }
}

Mixture::Draw Mixture::draw(std::uint64_t number) const noexcept {
  const Slot slot = slots_[number % kPeriod];
  return {slot.source, number / kPeriod * parts_[slot.source] + slot.index};
}

double Mixture::share(std::size_t source) const noexcept {
  return static_cast<double>(parts_[source]) / static_cast<double>(kPeriod);
}

}  // namespace elms::inline v0::offline::train
