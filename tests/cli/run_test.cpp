#include <cmath>

#include "run_elms.hpp"

using namespace elms_test;
using nlohmann::json;

TEST_CASE("cli: run reports what it did", "[cli]") {
  const json run = elms_json({"run", random_model(), "--prompt", "abc", "-n", "12", "--width", "0.6"});
  CHECK(run["model"] == random_model());
  CHECK(run["threads"] == 1);
  CHECK_FALSE(run["isa"].get<std::string>().empty());
  CHECK(run["prompt_tokens"] == 5);  // BOS, space, a, b, c
  CHECK(run["prompt_token_ids"] == json({1, 259, 'a' + 3, 'b' + 3, 'c' + 3}));
  CHECK(run["tokens"].size() == 12);
  CHECK(run["text"].is_string());
  CHECK(run["finish_reason"] == "max tokens");
  CHECK(run["width_requested"] == 0.6);
  CHECK(run["width_used"].get<double>() <= 0.6005);
  CHECK(run["cost_share"] == run["width_used"]);
  CHECK(run["level"].get<int>() >= 0);
  CHECK(run["ttft_ms"].get<double>() > 0.0);
  CHECK(run["tpot_ms"].get<double>() > 0.0);
  CHECK_FALSE(run.contains("top"));

  const json by_level = elms_json({"run", random_model(), "--prompt", "abc", "-n", "12", "--level",
                                   std::to_string(run["level"].get<int>())});
  CHECK(by_level["tokens"] == run["tokens"]);
  CHECK(by_level["width_requested"].is_null());
}

TEST_CASE("cli: run keeps keys and values in int8 on request", "[cli]") {
  const auto run = [](const char* kv) {
    return elms_json({"run", random_model(), "-p", "abc", "-n", "4", "--ctx", "16", "--kv", kv});
  };
  const nlohmann::json f16 = run("f16"), q8 = run("q8");
  CHECK(f16["kv"] == "f16");
  CHECK(q8["kv"] == "q8");
  CHECK(q8["kv_bytes"].get<double>() < 0.7 * f16["kv_bytes"].get<double>());
  CHECK(run_elms({"run", random_model(), "-p", "abc", "--kv", "q4"}).code == 2);
}

TEST_CASE("cli: the width that was asked for makes a difference", "[cli]") {
  const auto tokens = [](const std::string& width) {
    return elms_json({"run", random_model(), "--prompt", "abc", "-n", "16", "--width", width})["tokens"];
  };
  CHECK(tokens("1.0") != tokens("0.5"));
  CHECK(tokens("1.0") == elms_json({"run", random_model(), "--prompt", "abc", "-n", "16"})["tokens"]);
}

TEST_CASE("cli: run lists the best candidates of every step", "[cli]") {
  const json run = elms_json({"run", random_model(), "-p", "abc", "-n", "6", "--top-logprobs", "4"});
  REQUIRE(run["top"].size() == 6);
  for (std::size_t step = 0; step < 6; ++step) {
    const json& top = run["top"][step];
    REQUIRE(top.size() == 4);
    CHECK(top[0]["id"] == run["tokens"][step]);  // greedy
    double sum = 0.0, above = 1.0;
    for (const json& candidate : top) {
      const double p = candidate["p"].get<double>();
      CHECK(p <= above);
      above = p;
      sum += p;
    }
    CHECK(sum <= 1.0 + 1e-6);
    CHECK(sum > 0.0);
  }
}

TEST_CASE("cli: a seed repeats a sampled text, and another seed gives another", "[cli]") {
  const auto tokens = [](const std::string& seed) {
    return elms_json({"run", random_model(), "-p", "abc", "-n", "24", "--temp", "2", "--top-k", "0", "--top-p", "1",
                      "--min-p", "0", "--seed", seed})["tokens"];
  };
  CHECK(tokens("5") == tokens("5"));
  CHECK(tokens("5") != tokens("6"));
}

TEST_CASE("cli: a prompt comes from the command line, a file or standard input alike", "[cli]") {
  const std::string file = scratch_path("prompt.txt");
  write_bytes(file, {'a', 'b', 'c'});
  const std::vector<std::string> rest = {"-n", "8", "-t", "1"};
  const auto text = [&](std::vector<std::string> arguments, const std::string& input = {}) {
    arguments.insert(arguments.begin(), {"run", random_model()});
    arguments.insert(arguments.end(), rest.begin(), rest.end());
    const Finished finished = run_elms(arguments, input);
    CHECK(finished.code == 0);
    return finished.out;
  };
  const std::string expected = text({"-p", "abc"});
  CHECK(expected.size() > 1);
  CHECK(text({"--prompt-file", file}) == expected);
  CHECK(text({"--prompt-file", "-"}, "abc") == expected);
  CHECK(expected == elms_json({"run", random_model(), "-p", "abc", "-n", "8"})["text"].get<std::string>() + "\n");
}

TEST_CASE("cli: a stop string ends the text before it", "[cli]") {
  const std::vector<std::string> arguments = {"run", random_model(), "-p", "abc", "-n", "24"};
  const std::string whole = elms_json(arguments)["text"].get<std::string>();
  REQUIRE(whole.size() > 12);
  const std::size_t at = whole.find(' ', 4);  // words of the vocabulary begin with a space
  REQUIRE(at != std::string::npos);
  const std::string stop = whole.substr(at, 3);
  auto stopped_at = arguments;
  stopped_at.insert(stopped_at.end(), {"--stop", "never in the text", "--stop", stop});
  const json stopped = elms_json(stopped_at);
  CHECK(stopped["finish_reason"] == "stop string");
  CHECK(stopped["text"] == whole.substr(0, whole.find(stop)));
}

TEST_CASE("cli: generation ends where the context is full", "[cli]") {
  const json run = elms_json({"run", random_model(), "-p", "abc", "-n", "100", "--ctx", "20"});
  CHECK(run["finish_reason"] == "context full");
  CHECK(run["tokens"].size() == 16);  // 15 positions after the prompt's 5, and one token more that needs none
}

// Greedy tokens of llama.cpp (node-llama-cpp 3.22.1) on the same file and prompt.
TEST_CASE("cli: run tells the story that llama.cpp tells", "[cli]") {
  ELMS_REQUIRE_SHARED(model, "models/stories260K.gguf");
  const json run = elms_json({"run", model, "--prompt", "Once upon a time, there was a little girl", "-n", "40"});
  CHECK(run["prompt_token_ids"] == json({1, 403, 407, 261, 378, 432, 383, 286, 261, 376, 298, 315, 421}));
  CHECK(run["tokens"] == json({395, 317, 426, 338, 401, 396, 267, 337, 410, 408, 419, 292, 411, 322,
                               265, 282, 295, 433, 426, 385, 328, 432, 358, 394, 261, 370, 432, 352,
                               266, 268, 388, 426, 338, 391, 266, 267, 337, 335, 312, 432}));
  CHECK(run["level"] == 0);
  CHECK(run["width_used"] == 1.0);
  CHECK_THAT(run["text"].get<std::string>(),
             Catch::StartsWith(" named Lily. She loved to play outside in the park. One day,"));
}
