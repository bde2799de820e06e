#include <filesystem>

#include "run_elms.hpp"

using namespace elms_test;
using Catch::Contains;

namespace {

struct Case {
  std::vector<std::string> arguments;
  std::string complaint;  ///< a part of stderr
};

void expect_all(const std::vector<Case>& cases, int code) {
  for (const Case& wrong : cases) {
    std::string line;
    for (const std::string& argument : wrong.arguments) line += argument + " ";
    INFO(line);
    const Finished finished = run_elms(wrong.arguments);
    CHECK(finished.code == code);
    CHECK(finished.out.empty());
    CHECK_THAT(finished.err, Contains(wrong.complaint));
  }
}

}  // namespace

TEST_CASE("cli: a command line that cannot work ends with 2 and says why", "[cli]") {
  const std::string& model = random_model();
  const std::string out = scratch_path("usage.gguf");
  expect_all(
      {
          {{"frobnicate"}, "frobnicate"},
          {{"info"}, "MODEL"},
          {{"info", model, "--frobnicate"}, "--frobnicate"},
          {{"run", model}, "--prompt"},
          {{"run", model, "-p", "x", "--width", "1.5"}, "1.5"},
          {{"run", model, "-p", "x", "--width", "0"}, "width"},
          {{"run", model, "-p", "x", "--width", "nan"}, "nan"},
          {{"run", model, "-p", "x", "--width", "half"}, "half"},
          {{"run", model, "-p", "x", "--level", "-1"}, "--level"},
          {{"run", model, "-p", "x", "--width", "0.5", "--level", "1"}, "--width"},
          {{"run", model, "-p", "x", "--prompt-file", "y"}, "--prompt"},
          {{"run", model, "-p", "x", "-n", "-5"}, "-5"},
          {{"run", model, "-p", "x", "--top-p", "1.1"}, "--top-p"},
          {{"run", model, "-p", "x", "--temp", "-1"}, "--temp"},
          {{"run", model, "-p", "x", "-t", "0"}, "--threads"},
          {{"eval"}, "ubcommand"},
          {{"eval", "ppl", model}, "--text"},
          {{"eval", "ppl", model, "--text", random_text(), "--widths", "0.5,2"}, "2"},
          {{"elasticize", model, "-o", out}, "--calib"},
          {{"elasticize", model, "--importance", "magnitude"}, "--output"},
          {{"elasticize", model, "-o", out, "--importance", "guess"}, "guess"},
          {{"elasticize", model, "-o", out, "--importance", "magnitude", "--type", "q2_k"}, "q2_k"},
          {{"elasticize", model, "-o", out, "--importance", "magnitude", "--allocation", "fair"}, "fair"},
          {{"elasticize", model, "-o", out, "--importance", "magnitude", "--levels", "0.5,0.3"}, "ascending"},
          {{"extract", model, "--width", "0.5"}, "--output"},
          {{"synth", "--shape", "{\"d_model\":}", "-o", out}, "JSON"},
          {{"synth", "--shape", "{\"d_model\":64}", "-o", out}, "n_layers"},
          {{"synth", "--shape", "gpt-9", "-o", out}, "tinyllama-1.1b"},
          {{"synth", "--shape", "tinyllama-1.1b", "--type", "q4_k", "-o", out}, "q4_k"},
          {{"bench", model, "--widths", "1,x"}, "x"},
          {{"bench", model, "-p", "128,0"}, "0"},
          {{"bench", model, "-p", "many"}, "many"},
          {{"bench", model, "-p", "1,2,3,4,5"}, "at most 4"},
          {{"bench", model, "--context", "-1"}, "--context"},
          {{"bench", model, "--repeat", "0"}, "--repeat"},
      },
      2);
  CHECK_FALSE(std::filesystem::exists(out));
}

TEST_CASE("cli: work that fails ends with 1 and names the file and the reason", "[cli]") {
  const std::string& model = random_model();
  const std::string absent = scratch_path("absent.gguf"), junk = scratch_path("junk.gguf");
  const std::string out = scratch_path("failed.gguf"), empty = scratch_path("empty.txt");
  write_bytes(junk, std::vector<std::uint8_t>(100, 7));
  write_bytes(empty, {});
  expect_all(
      {
          {{"info", absent}, absent},
          {{"info", junk}, junk},
          {{"run", absent, "-p", "x"}, absent},
          {{"run", junk, "-p", "x"}, junk},
          {{"run", model, "-p", "x", "--level", "99"}, "level 99"},
          {{"run", model, "-p", "longer than eight tokens", "--ctx", "8"}, "context"},
          {{"run", model, "--prompt-file", absent}, absent},
          {{"eval", "ppl", model, "--text", absent}, absent},
          {{"eval", "ppl", model, "--text", empty}, "tokens"},
          {{"eval", "ppl", absent, "--text", random_text()}, absent},
          {{"eval", "narrowing", model, "--text", random_text(), "--window", "8", "--prompt-tokens", "8"}, "8"},
          {{"elasticize", absent, "-o", out, "--importance", "magnitude"}, absent},
          {{"elasticize", model, "-o", out, "--calib", absent}, absent},
          {{"elasticize", model, "-o", out, "--calib", empty}, "token"},
          {{"extract", absent, "--width", "0.5", "-o", out}, absent},
          {{"extract", model, "--level", "99", "-o", out}, "level 99"},
          {{"bench", absent}, absent},
          {{"bench", model, "--plot", absent + "/time.svg"}, "no folder " + absent},
          {{"synth", "--shape", "{\"d_model\":48,\"n_layers\":1,\"n_heads\":2,\"n_kv_heads\":1,\"d_ff\":64,\"n_vocab\":300}",
            "--type", "q4_0", "-o", out},
           "token_embd"},
      },
      1);
  CHECK_FALSE(std::filesystem::exists(out));
}

TEST_CASE("cli: a forced instruction set that is unknown is an error, not a surprise", "[cli]") {
  const Finished finished = run_elms({"run", random_model(), "-p", "x"}, {}, "env ELMS_ISA=sse9");
  CHECK(finished.code == 1);
  CHECK_THAT(finished.err, Contains("sse9"));
}
