#include "run_elms.hpp"

using namespace elms_test;
using Catch::Contains;

TEST_CASE("cli: every command explains itself, with an example", "[cli]") {
  const std::vector<std::vector<std::string>> commands = {
      {"info"}, {"elasticize"}, {"run"}, {"eval", "ppl"}, {"eval", "narrowing"}, {"eval", "task"}, {"eval", "compare"}, {"extract"}, {"synth"},
      {"bench"}, {"pack"}, {"tasks"}, {"train"}, {"vocab"}, {"recover"}};
  const Finished all = run_elms({"--help"});
  CHECK(all.code == 0);
  for (std::vector<std::string> command : commands) {
    CHECK_THAT(all.out, Contains("\n  " + command.front() + " "));
    const std::string name = "elms " + command.front() + (command.size() > 1 ? " " + command[1] : "");
    INFO(name);
    command.push_back("--help");
    const Finished help = run_elms(command);
    CHECK(help.code == 0);
    CHECK(help.err.empty());
    CHECK_THAT(help.out, Contains("Example"));
    CHECK_THAT(help.out, Contains("  " + name + " "));
    CHECK_THAT(help.out, Contains("--json"));
  }
}

TEST_CASE("cli: the version is a version", "[cli]") {
  const Finished version = run_elms({"--version"});
  CHECK(version.code == 0);
  CHECK(std::count(version.out.begin(), version.out.end(), '.') == 2);
}

TEST_CASE("cli: no command at all shows the help as an error", "[cli]") {
  const Finished nothing = run_elms({});
  CHECK(nothing.code == 2);
  CHECK(nothing.out.empty());
  CHECK_THAT(nothing.err, Contains("elasticize"));
}
