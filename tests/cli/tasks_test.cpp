#include <cmath>
#include <fstream>

#include "run_elms.hpp"

using namespace elms_test;
using Catch::Contains;
using nlohmann::json;

namespace {

/// Requests for two intents of CLINC150.
std::string raw_file() {
  const std::string path = scratch_path("clinc.json");
  std::ofstream(path) << R"({"test": [["is it hot", "weather"], ["send ten dollars", "transfer"], ["will it snow", "weather"]]})";
  return path;
}

}  // namespace

TEST_CASE("cli: tasks writes lines that eval task scores", "[cli]") {
  const std::string file = scratch_path("tasks.jsonl");
  const Finished made = run_elms({"tasks", "--from", "clinc150", "--in", raw_file(), "-o", file, "--functions", "2-4",
                                  "--few-shot", "1", "--json"});
  INFO(made.err);
  REQUIRE(made.code == 0);
  const json summary = json::parse(made.out, nullptr, false);
  REQUIRE(summary.is_object());
  CHECK(summary["lines"] == 3);
  CHECK(summary["functions"] == 2);
  CHECK(summary["known_functions"] == 150);
  CHECK(summary["seen"].get<int>() + summary["unseen"].get<int>() == 3);

  // The random model's tokens are bytes, and its context holds 256: shorter prompts judge it.
  const std::string small = scratch_path("small.jsonl");
  std::ofstream(small) << R"({"prompt": "a b", "choices": [" c", " d"], "answer": 0})" << "\n"
                       << R"({"prompt": "b a", "choices": [" c", " d"], "answer": " d"})" << "\n";
  const json one = elms_json({"eval", "task", random_model(), "--task", small, "--width", "1.0"});
  REQUIRE(one.is_object());
  CHECK(one["task"] == "small");
  CHECK(one["width"] == 1.0);
  CHECK(one["n"] == 2);
  CHECK(one["chance"] == 0.5);
  CHECK(one["accuracy"].get<double>() * 2.0 == std::round(one["accuracy"].get<double>() * 2.0));
  const json several = elms_json({"eval", "task", random_model(), "--task", small, "--widths", "0.9,1.0"});
  REQUIRE(several.is_array());
  REQUIRE(several.size() == 2);
  CHECK(several[1] == one);
}

TEST_CASE("cli: tasks says what is wrong with its options", "[cli]") {
  const auto run = [](std::vector<std::string> more) {
    std::vector<std::string> arguments = {"tasks", "--in", raw_file(), "-o", scratch_path("none.jsonl")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_elms(arguments);
  };
  for (const std::vector<std::string>& usage : {std::vector<std::string>{}, {"--from", "squad"}, {"--from", "snips", "--functions", "x"},
                                                {"--from", "snips", "--functions", "9-3"}, {"--from", "snips", "--split", "half"}}) {
    CHECK(run(usage).code == 2);
  }
  const Finished wrong = run({"--from", "snips"});
  CHECK(wrong.code == 1);
  CHECK_THAT(wrong.err, Contains("clinc.json"));
  CHECK(wrong.out.empty());
}
