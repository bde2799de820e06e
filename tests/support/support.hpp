// What every test file needs: reference files, scratch files, a replayable seed, visible skips.
#pragma once

#include <catch2/catch.hpp>
#include <cstdint>
#include <random>
#include <sstream>
#include <string>
#include <vector>

namespace elms_test {

/// ../shared, or $ELMS_SHARED_DIR.
std::string shared_dir();
/// A file below it; empty when it is not there.
std::string shared_file(const std::string& relative_path);

/// A path in a fresh directory that is removed at exit.
std::string scratch_path(const std::string& file_name);

std::vector<std::uint8_t> read_bytes(const std::string& path);
void write_bytes(const std::string& path, const std::vector<std::uint8_t>& bytes);

/// Random engine with the seed of this run: $ELMS_TEST_SEED, or a fixed one. `salt` keeps test cases independent.
std::mt19937 make_rng(std::uint32_t salt);

/// Remembers why the running case skips; printed as "SKIPPED: reason" when it ends without a failure.
void note_skip(std::string reason);
/// Takes the reasons noted since the last call.
std::vector<std::string> take_skips();

}  // namespace elms_test

/// Ends the test case as a visible skip; a case that also fails an assertion stays a failure.
#define ELMS_SKIP(reason)                 \
  do {                                    \
    std::ostringstream elms_skip_reason_; \
    elms_skip_reason_ << reason;          \
    ::elms_test::note_skip(elms_skip_reason_.str()); \
    SUCCEED("skipped");                   \
    return;                               \
  } while (false)

/// `std::string path` to a reference file, or a skip of the whole case.
#define ELMS_REQUIRE_SHARED(variable, relative_path)                       \
  const std::string variable = ::elms_test::shared_file(relative_path);    \
  if (variable.empty()) ELMS_SKIP("no " << relative_path << " in " << ::elms_test::shared_dir())

/// Fails with the Status message when a Status or Result is an error.
#define REQUIRE_OK(expression)                                        \
  do {                                                                \
    const ::elms::Status elms_status_ = ::elms_test::status_of(expression); \
    INFO(elms_status_.message());                                     \
    REQUIRE(elms_status_.ok());                                       \
  } while (false)

#include "elms/status.hpp"
namespace elms_test {
inline elms::Status status_of(elms::Status status) { return status; }
template <typename T>
elms::Status status_of(const elms::Result<T>& result) {
  return result.error();
}
}  // namespace elms_test
