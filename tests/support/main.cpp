#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>
#include <iostream>

#include "support.hpp"

namespace {

// ctest takes any output with "SKIPPED:" for a skip, whatever the exit code, so it is printed only where nothing failed.
class SkipPrinter : public Catch::TestEventListenerBase {
 public:
  using TestEventListenerBase::TestEventListenerBase;

  void testCaseEnded(const Catch::TestCaseStats& stats) override {
    for (const std::string& reason : elms_test::take_skips()) {
      if (stats.totals.assertions.allPassed()) std::cout << "SKIPPED: " << reason << std::endl;
    }
  }
};
CATCH_REGISTER_LISTENER(SkipPrinter)

}  // namespace

int main(int argc, char** argv) {
  Catch::Session session;
  if (const int problem = session.applyCommandLine(argc, argv); problem != 0) return problem;
  // A case that checked nothing, or a name that matched no case, is a failure.
  session.configData().warnings =
      static_cast<Catch::WarnAbout::What>(Catch::WarnAbout::NoAssertions | Catch::WarnAbout::NoTests);
  return session.run();
}
