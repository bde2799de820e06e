#include "elms/op_times.hpp"

#include <chrono>
#include <set>
#include <string>

#include "elms/session.hpp"
#include "small_q8_model.hpp"

using namespace elms_test;

namespace {

elms::Session make_session() {
  auto session = elms::Session::create(open_model(small_q8_model()));
  REQUIRE_OK(session);
  return std::move(*session);
}

}  // namespace

TEST_CASE("op_times: every op takes part of the session's time, and together they take no more",
          "[model][session]") {
  elms::Session session = make_session();
  elms::OpTimes times;
  session.set_op_times(&times);
  const auto start = std::chrono::steady_clock::now();
  REQUIRE_OK(session.prefill(kPrompt));
  for (int i = 0; i < 20; ++i) REQUIRE_OK(session.decode());
  const double wall = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  for (std::size_t op = 0; op < elms::kOpCount; ++op) {
    INFO(elms::op_name(static_cast<elms::Op>(op)));
    CHECK(times.seconds[op] > 0.0);
  }
  CHECK(times.total() > 0.0);
  CHECK(times.total() <= wall);
}

TEST_CASE("op_times: measuring changes no result, and ends with null", "[model][session]") {
  elms::Session measured = make_session(), plain = make_session();
  elms::OpTimes times;
  measured.set_op_times(&times);
  REQUIRE_OK(measured.prefill(kPrompt));
  REQUIRE_OK(plain.prefill(kPrompt));
  const std::vector<float> expected(plain.logits().begin(), plain.logits().end());
  CHECK(std::vector<float>(measured.logits().begin(), measured.logits().end()) == expected);

  measured.set_op_times(nullptr);
  const elms::OpTimes before = times;
  REQUIRE_OK(measured.decode());
  REQUIRE_OK(measured.decode());
  CHECK(times.seconds == before.seconds);
}

TEST_CASE("op_times: ops have names of their own", "[model]") {
  std::set<std::string> names;
  for (std::size_t op = 0; op < elms::kOpCount; ++op) names.insert(elms::op_name(static_cast<elms::Op>(op)));
  CHECK(names.size() == elms::kOpCount);
}
