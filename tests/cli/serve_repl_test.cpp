#include <algorithm>

#include "run_elms.hpp"

using namespace elms_test;

TEST_CASE("cli: serve-repl answers line by line, and says what it took", "[cli]") {
  const Finished chat =
      run_elms({"serve-repl", random_model(), "-n", "6", "-t", "1", "--tpot", "1000"},
               "hello\n/help\n/slo 500 -\n/slo x\nagain\n/reset\nhello\n/quit\nnever read\n");
  INFO(chat.out << chat.err);
  REQUIRE(chat.code == 0);
  CHECK(std::count(chat.out.begin(), chat.out.end(), '\n') >= 3);
  const auto count = [&](const std::string& text) {
    int n = 0;
    for (std::size_t at = 0; (at = chat.err.find(text, at)) != std::string::npos; at += text.size()) ++n;
    return n;
  };
  CHECK(count("[width ") == 3);
  CHECK(count("target 1000.0") == 1);
  CHECK(count("target 500.0") == 2);
  CHECK(count("[targets: ") == 1);
  CHECK(count("Ctrl-C stops") == 2);  // /help, and a command that makes no sense
  CHECK(count("prompts are plain text") == 1);
  CHECK(count("never read") == 0);
}

TEST_CASE("cli: serve-repl ends at the end of its input", "[cli]") {
  CHECK(run_elms({"serve-repl", random_model(), "-t", "1"}, "").code == 0);
  CHECK(run_elms({"serve-repl", random_model(), "-t", "1", "--ttft", "-3"}, "").code == 2);
  CHECK(run_elms({"serve-repl", "nothing.gguf"}, "").code == 1);
}
