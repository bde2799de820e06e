#include "elms/detail/service/request_queue.hpp"

#include <catch2/catch.hpp>

using elms::detail::RequestQueue;
using elms::detail::Ticket;

namespace {

Ticket ticket(int priority, double deadline_ms, std::uint64_t number) {
  return {priority, deadline_ms, 10.0, 0.0, number};
}
double no_time() {
  return 0.0;
}
elms::Status patient() {
  return {};
}

}  // namespace

TEST_CASE("request queue: priority, then deadline, then arrival", "[service]") {
  CHECK(ticket(1, 500, 3).before(ticket(0, 100, 1)));
  CHECK(ticket(0, 100, 2).before(ticket(0, 200, 1)));
  CHECK(ticket(0, 100, 1).before(ticket(0, 100, 2)));
  CHECK_FALSE(ticket(0, 100, 2).before(ticket(0, 100, 2)));
}

TEST_CASE("request queue: one place, and a line that is bounded", "[service]") {
  RequestQueue queue(1, 0);
  Ticket first = ticket(0, 100, 0), second = ticket(0, 50, 0);
  CHECK(queue.predicted_wait_ms(second, 0.0) == 0.0);
  REQUIRE(queue.enter(first, patient, no_time).ok());
  CHECK(queue.predicted_wait_ms(second, 4.0) == 6.0);
  CHECK(queue.enter(second, patient, no_time).code() == elms::StatusCode::kUnavailable);
  CHECK(queue.n_running() == 1);
  queue.leave(first);
  REQUIRE(queue.enter(second, patient, no_time).ok());
  queue.leave(second);
  CHECK(queue.n_running() == 0);
}

TEST_CASE("request queue: who gives up leaves the line", "[service]") {
  RequestQueue queue(1, 4);
  Ticket first = ticket(0, 100, 0), second = ticket(0, 50, 0);
  REQUIRE(queue.enter(first, patient, no_time).ok());
  const elms::Status status = queue.enter(
      second, [] { return elms::Status(elms::StatusCode::kCancelled, "enough"); }, no_time);
  CHECK(status.code() == elms::StatusCode::kCancelled);
  CHECK(queue.n_queued() == 0);
  queue.leave(first);
}
