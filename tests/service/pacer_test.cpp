#include "elms/detail/service/pacer.hpp"

#include <catch2/catch.hpp>

using elms::detail::Pacer;

namespace {

/// Level l takes l + 1 ms a token where nothing disturbs.
double cost(int level) {
  return level + 1.0;
}

}  // namespace

TEST_CASE("pacer: an answer in time keeps its level", "[service]") {
  Pacer pacer({5.0, 3, 63}, cost);
  for (int i = 0; i < 40; ++i) CHECK(pacer.next_level(4.0) == 3);
}

TEST_CASE("pacer: late tokens narrow at once, to the widest level that keeps the target", "[service]") {
  Pacer pacer({5.0, 3, 63}, cost);
  const int level = pacer.next_level(8.0);  // everything takes twice as long: 8, 6, 4, 2 ms
  CHECK(level == 1);
  int now = level;
  double sum = 8.0;
  for (int i = 1; i < 40; ++i) {
    const double ms = 2.0 * cost(now);
    sum += ms;
    now = pacer.next_level(ms);
  }
  CHECK(sum / 40 <= 5.0);
}

TEST_CASE("pacer: slack widens again, slowly, and never above the plan", "[service]") {
  Pacer pacer({5.0, 3, 200}, cost);
  REQUIRE(pacer.next_level(30.0) == 0);
  int level = 0, n_changes = 0, highest = 0;
  for (int i = 0; i < 120; ++i) {
    const int next = pacer.next_level(cost(level));
    CHECK(next <= level + 1);
    n_changes += next != level ? 1 : 0;
    level = next;
    highest = std::max(highest, level);
  }
  CHECK(highest == 3);
  CHECK(n_changes <= 8);  // hysteresis: it does not swing
}

TEST_CASE("pacer: a target that no level can keep ends at the narrowest", "[service]") {
  Pacer pacer({0.5, 3, 63}, cost);
  CHECK(pacer.next_level(4.0) == 0);
  CHECK(pacer.next_level(1.0) == 0);
}
