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
  Pacer pacer({5.0, 3, 0, 63}, cost);
  for (int i = 0; i < 40; ++i) CHECK(pacer.next_level(4.0) == 3);
}

TEST_CASE("pacer: late tokens narrow at once, to the widest level that keeps the target", "[service]") {
  Pacer pacer({5.0, 3, 0, 63}, cost);
  int now = 3;
  double sum = 0.0;
  for (int i = 0; i < 40; ++i) {  // everything takes twice as long: 8, 6, 4, 2 ms
    const double ms = 2.0 * cost(now);
    sum += ms;
    now = pacer.next_level(ms);
    CHECK(now < 3);
    CHECK(now >= 1);
  }
  CHECK(sum / 40 <= 5.0);
}

TEST_CASE("pacer: one stalled token costs a level or two and no more, and they come back", "[service]") {
  Pacer pacer({5.0, 3, 0, 200}, cost);
  int level = pacer.next_level(40.0);  // ten times what was expected
  CHECK(level >= 1);
  for (int i = 0; i < 60; ++i) {
    level = pacer.next_level(cost(level));
    CHECK(level >= 1);
  }
  CHECK(level == 3);
}

TEST_CASE("pacer: two slow tokens in a row are believed", "[service]") {
  Pacer pacer({5.0, 3, 0, 200}, cost);
  CHECK(pacer.next_level(30.0) >= 1);
  CHECK(pacer.next_level(30.0) == 0);
}

TEST_CASE("pacer: slack widens again, slowly, and never above the plan", "[service]") {
  Pacer pacer({5.0, 3, 0, 200}, cost);
  int level = 3, n_changes = 0, highest = 0;
  for (int i = 0; i < 8; ++i) level = pacer.next_level(6.0 * cost(level));
  REQUIRE(level == 0);
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
  Pacer pacer({0.5, 3, 0, 63}, cost);
  CHECK(pacer.next_level(4.0) == 0);
  CHECK(pacer.next_level(1.0) == 0);
}

TEST_CASE("pacer: levels whose answers are worth too little are not used, however late it is", "[service]") {
  Pacer pacer({0.5, 3, 2, 63}, cost);
  CHECK(pacer.next_level(4.0) == 2);
  for (int i = 0; i < 10; ++i) CHECK(pacer.next_level(30.0) == 2);
}
