#include "elms/status.hpp"

#include <algorithm>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "support.hpp"

namespace {

using elms::Result;
using elms::Status;
using elms::StatusCode;

static_assert(!std::is_copy_constructible_v<Result<std::unique_ptr<int>>>);
static_assert(std::is_nothrow_move_constructible_v<Result<std::unique_ptr<int>>>);

TEST_CASE("status is ok by default and carries code and message otherwise", "[core][status]") {
  const Status ok;
  CHECK(ok.ok());
  CHECK(ok.code() == StatusCode::kOk);
  CHECK(ok.message().empty());

  const Status failure(StatusCode::kMalformedFile, "a.gguf: no magic");
  CHECK_FALSE(failure.ok());
  CHECK(failure.code() == StatusCode::kMalformedFile);
  CHECK(failure.message() == "a.gguf: no magic");
}

TEST_CASE("status codes have distinct names", "[core][status]") {
  std::vector<std::string> names;
  for (int code = 0; code <= static_cast<int>(StatusCode::kInternal); ++code) {
    const std::string name = elms::to_string(static_cast<StatusCode>(code));
    CHECK(name != "unknown");
    CHECK(std::find(names.begin(), names.end(), name) == names.end());
    names.push_back(name);
  }
  CHECK(std::string(elms::to_string(static_cast<StatusCode>(250))) == "unknown");
}

TEST_CASE("result holds a value or an error", "[core][status]") {
  Result<std::string> value = std::string("text");
  REQUIRE(value.has_value());
  CHECK(static_cast<bool>(value));
  CHECK(*value == "text");
  CHECK(value->size() == 4);
  CHECK(value.error().ok());

  const Result<std::string> failure = Status(StatusCode::kNotFound, "no such key");
  CHECK_FALSE(failure.has_value());
  CHECK_FALSE(static_cast<bool>(failure));
  CHECK(failure.error().code() == StatusCode::kNotFound);
  CHECK(failure.error().message() == "no such key");
}

TEST_CASE("result moves a move-only value out", "[core][status]") {
  Result<std::unique_ptr<int>> result = std::make_unique<int>(7);
  REQUIRE(result.has_value());
  const std::unique_ptr<int> taken = *std::move(result);
  REQUIRE(taken != nullptr);
  CHECK(*taken == 7);
}

TEST_CASE("result made from an ok status is an internal error, not a missing value", "[core][status]") {
  const Result<int> result = Status();
  CHECK_FALSE(result.has_value());
  CHECK(result.error().code() == StatusCode::kInternal);
}

}  // namespace
