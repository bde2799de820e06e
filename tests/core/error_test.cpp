#include "elms/detail/error.hpp"

#include <cstdint>
#include <limits>
#include <memory>
#include <string>

#include "support.hpp"

namespace {

using elms::Result;
using elms::Status;
using elms::StatusCode;
using elms::detail::concat;

TEST_CASE("concat joins text and numbers", "[core][error]") {
  CHECK(concat("layer ", 3, ": ", std::string("attn"), ' ', 0.5, std::string_view("%")) == "layer 3: attn 0.5%");
  CHECK(concat(std::numeric_limits<std::uint64_t>::max()) == "18446744073709551615");
  CHECK(concat(std::numeric_limits<std::int64_t>::min()) == "-9223372036854775808");
  CHECK(concat().empty());
}

TEST_CASE("error makers set code and message", "[core][error]") {
  CHECK(elms::detail::malformed("a: ", 1).code() == StatusCode::kMalformedFile);
  CHECK(elms::detail::unsupported("a").code() == StatusCode::kUnsupported);
  CHECK(elms::detail::invalid_argument("a").code() == StatusCode::kInvalidArgument);
  CHECK(elms::detail::malformed("a: ", 1).message() == "a: 1");
}

Status first_failure(const Status& first, const Status& second, int& n_reached) {
  ELMS_RETURN_IF_ERROR(first);
  ++n_reached;
  ELMS_RETURN_IF_ERROR(second);
  ++n_reached;
  return {};
}

TEST_CASE("return-if-error stops at the first failure and evaluates once", "[core][error]") {
  const Status bad(StatusCode::kIoError, "disk");
  int n_reached = 0;
  CHECK(first_failure({}, {}, n_reached).ok());
  CHECK(n_reached == 2);
  n_reached = 0;
  CHECK(first_failure({}, bad, n_reached).message() == "disk");
  CHECK(n_reached == 1);
  CHECK(first_failure(bad, {}, n_reached).code() == StatusCode::kIoError);
  CHECK(n_reached == 1);
}

Result<int> sum(Result<std::unique_ptr<int>> a, Result<std::unique_ptr<int>> b) {
  ELMS_ASSIGN_OR_RETURN(const std::unique_ptr<int> left, std::move(a));
  ELMS_ASSIGN_OR_RETURN(const std::unique_ptr<int> right, std::move(b));
  return *left + *right;
}

TEST_CASE("assign-or-return moves the value or passes the error on", "[core][error]") {
  const Result<int> good = sum(std::make_unique<int>(2), std::make_unique<int>(3));
  REQUIRE_OK(good);
  CHECK(*good == 5);
  const Result<int> bad = sum(std::make_unique<int>(2), Status(StatusCode::kNotFound, "right"));
  CHECK_FALSE(bad.has_value());
  CHECK(bad.error().message() == "right");
}

}  // namespace
