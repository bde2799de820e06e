#include "elms/detail/random.hpp"

#include <array>
#include <cstdint>
#include <vector>

#include "support.hpp"

using elms::detail::Xoshiro256;

TEST_CASE("xoshiro256 gives the published sequence", "[sampling][random]") {
  // From the authors' C program (prng.di.unimi.it) with the state 1, 2, 3, 4.
  const std::vector<std::uint64_t> expected = {11520u,
                                               0u,
                                               1509978240u,
                                               1215971899390074240u,
                                               1216172134540287360u,
                                               607988272756665600u,
                                               16172922978634559625u,
                                               8476171486693032832u,
                                               10595114339597558777u,
                                               2904607092377533576u};
  Xoshiro256 rng(1, 2, 3, 4);
  for (const std::uint64_t value : expected) REQUIRE(rng.next() == value);
}

TEST_CASE("splitmix64 gives the published sequence", "[sampling][random]") {
  std::uint64_t state = 0;
  REQUIRE(elms::detail::splitmix64(state) == 0xE220A8397B1DCDAFu);
  REQUIRE(elms::detail::splitmix64(state) == 0x6E789E6AA1B965F4u);
  REQUIRE(elms::detail::splitmix64(state) == 0x06C45D188009454Fu);
}

TEST_CASE("random numbers below a bound are uniform", "[sampling][random]") {
  Xoshiro256 rng(7);
  constexpr std::uint64_t kBound = 11;
  constexpr int kDraws = 110000;
  std::array<int, kBound> counts{};
  for (int i = 0; i < kDraws; ++i) {
    const std::uint64_t value = rng.below(kBound);
    REQUIRE(value < kBound);
    ++counts[value];
  }
  double chi_square = 0.0;
  for (const int count : counts) chi_square += (count - 10000.0) * (count - 10000.0) / 10000.0;
  CHECK(chi_square < 29.6);  // 10 degrees of freedom, p = 0.001
}

TEST_CASE("random numbers reach both ends of extreme bounds", "[sampling][random]") {
  Xoshiro256 rng(8);
  for (int i = 0; i < 100; ++i) {
    REQUIRE(rng.below(1) == 0);
    REQUIRE(rng.below(2) < 2);
    REQUIRE(rng.below((std::uint64_t{1} << 63) + 1) <= (std::uint64_t{1} << 63));
    REQUIRE(rng.below(~std::uint64_t{0}) < ~std::uint64_t{0});
  }
}
