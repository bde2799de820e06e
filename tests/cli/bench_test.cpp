#include "run_elms.hpp"

using namespace elms_test;
using nlohmann::json;

namespace {

const std::string& quantised_model() {
  static const std::string path = [] {
    std::string written = scratch_path("bench_q8.gguf");
    elms_json(
        {"synth", "--shape",
         R"({"d_model":64,"n_layers":2,"n_heads":4,"n_kv_heads":2,"head_dim":32,"d_ff":192,"n_vocab":320})",
         "--type", "q8_0", "-o", written});
    return written;
  }();
  return path;
}

}  // namespace

TEST_CASE("cli: bench measures every level beside the machine's limits", "[cli]") {
  const json bench = elms_json({"bench", random_model(), "-p", "32", "-n", "4", "--repeat", "3"});
  for (const std::string limit : {"read_gb_s", "int8_gops", "f32_gflops"}) {
    CHECK(bench["limits"][limit].get<double>() > 0.0);
    CHECK(bench["limits"][limit + "_1_thread"] ==
          bench["limits"][limit]);  // one thread is all that was asked for
    CHECK(bench["limits"]["spread"][limit].get<double>() >= 0.0);
  }
  CHECK(bench["limits"]["samples"].get<int>() >= 2);
  CHECK(bench["limits"]["isa"].is_string());
  CHECK(bench["threads"] == 1);
  CHECK(bench["isa"].is_string());
  CHECK(bench["open_ms"].get<double>() > 0.0);
  CHECK(bench["first_token_ms"].get<double>() > bench["open_ms"].get<double>());
  CHECK(bench["switch_ns"].get<double>() >= 0.0);
  CHECK(bench["packed_bytes"].get<std::uint64_t>() > 0);
  CHECK(bench["peak_rss_bytes"].get<std::uint64_t>() > bench["packed_bytes"].get<std::uint64_t>());
  CHECK(bench["prefill_peak_rss_bytes"].get<std::uint64_t>() >= bench["peak_rss_bytes"].get<std::uint64_t>());
  CHECK(bench["peak_rss_ratio"].get<double>() ==
        Approx(bench["peak_rss_bytes"].get<double>() /
               (bench["file_bytes"].get<double>() + bench["kv_bytes"].get<double>())));
  CHECK(bench["prefill_limit"] == "f32");
  const json levels = elms_json({"info", random_model()})["levels"];
  REQUIRE(bench["results"].size() == levels.size());
  for (std::size_t i = 0; i < levels.size(); ++i) {
    const json& result = bench["results"][i];
    CHECK(result["level"] == i);
    CHECK(result["cost_share"] == levels[i]["cost_share"]);
    CHECK(result["width"] == levels[i]["cost_share"]);
    CHECK(result["prefill_tokens"] == 32);
    for (const char* rate : {"prefill_tok_s", "prefill_gops", "decode_tok_s", "decode_gb_s"}) {
      CHECK(result[rate].get<double>() > 0.0);
    }
    CHECK(result["decode_gb_s"].get<double>() ==
          Approx(result["decode_tok_s"].get<double>() * levels[i]["bytes_per_token"].get<double>() / 1e9));
    CHECK(result["spread"]["prefill"].get<double>() >= 0.0);
    CHECK(result["spread"]["decode"].get<double>() >= 0.0);
  }
}

TEST_CASE("cli: bench relates every figure to its limit and every time to the widest level's", "[cli]") {
  const json bench =
      elms_json({"bench", quantised_model(), "-p", "8,32", "-n", "4", "--repeat", "1", "--widths", "0.5,1"});
  CHECK(bench["prefill_limit"] == "int8");
  const json& limits = bench["limits"];
  REQUIRE(bench["results"].size() == 2);
  for (const json& result : bench["results"]) {
    CHECK(result["prefill_share"].get<double>() ==
          Approx(result["prefill_gops"].get<double>() / limits["int8_gops"].get<double>()));
    CHECK(result["decode_share"].get<double>() ==
          Approx(result["decode_gb_s"].get<double>() / limits["read_gb_s"].get<double>()));
    CHECK(result.contains("prefill_maddubs_share") == limits.contains("int8_maddubs_gops"));
    CHECK(result["decode_excess"].get<double>() ==
          Approx(result["decode_time_ratio"].get<double>() - result["cost_share"].get<double>()));
    REQUIRE(result["prefill"].size() == 2);
    CHECK(result["prefill"][0]["tokens"] == 8);
    CHECK(result["prefill"][1]["tokens"] == 32);
    CHECK(result["prefill_tokens"] == 32);
    CHECK(result["prefill_tok_s"] == result["prefill"][1]["tok_s"]);
    for (const json& prefill : result["prefill"]) {
      CHECK(prefill["excess"].get<double>() ==
            Approx(prefill["time_ratio"].get<double>() - result["cost_share"].get<double>()));
    }
  }
  CHECK(bench["results"][1]["decode_time_ratio"] == 1.0);
  CHECK(bench["results"][1]["decode_excess"] == 0.0);
}

TEST_CASE("cli: bench says where the time of a batch and of a step goes", "[cli]") {
  const json bench = elms_json({"bench", quantised_model(), "-p", "16", "-n", "2", "--repeat", "1",
                                "--widths", "1", "--context", "100"});
  for (const char* phase : {"prefill", "decode"}) {
    INFO(phase);
    const json& profile = bench["profile"][phase];
    CHECK(profile["ms"].get<double>() > 0.0);
    REQUIRE(profile["ops"].size() == 12);
    for (const auto& [op, time] : profile["ops"].items()) {
      INFO(op);
      CHECK(time["ms"].get<double>() > 0.0);
      CHECK(time["share"].get<double>() == Approx(time["ms"].get<double>() / profile["ms"].get<double>()));
    }
  }
  // Work over time, the work counted from the shape: two layers, 16 tokens, d_model 64, 4 query and 2 KV
  // heads of 32.
  const json& prefill = bench["profile"]["prefill"]["ops"];
  CHECK(prefill["qkv"]["gops"].get<double>() * prefill["qkv"]["ms"].get<double>() ==
        Approx(2 * 16 * 2.0 * 64 * (4 + 2 + 2) * 32 / 1e6));
  CHECK(prefill["attention"]["gops"].get<double>() * prefill["attention"]["ms"].get<double>() ==
        Approx(2 * (16 * 17 / 2) * 4.0 * 4 * 32 / 1e6));
  CHECK_FALSE(prefill["norm"].contains("gops"));
  const json& decode = bench["profile"]["decode"]["ops"];
  CHECK(decode["attention"]["gb_s"].get<double>() * decode["attention"]["ms"].get<double>() ==
        Approx(2 * 101 * 2.0 * 2 * 32 * 2 / 1e6));
  CHECK(bench["profile"]["prefill"]["tokens"] == 16);
  CHECK(bench["profile"]["decode"]["tokens"] == 1);
  CHECK(bench["profile"]["decode"]["context"] == 100);
}

TEST_CASE("cli: bench plots times against the ideal, and prints tables", "[cli]") {
  const std::string svg = scratch_path("bench.svg");
  const Finished finished =
      run_elms({"bench", random_model(), "-p", "4,8", "-n", "2", "--repeat", "1", "-t", "1", "--plot", svg});
  CHECK(finished.code == 0);
  for (const char* part :
       {"machine limits", "prefill of 4 tokens", "prefill of 8 tokens", "decode of 2 tokens", "attention"}) {
    CHECK_THAT(finished.out, Catch::Contains(part));
  }
  const auto bytes = read_bytes(svg);
  const std::string plot(bytes.begin(), bytes.end());
  CHECK_THAT(plot, Catch::StartsWith("<svg "));
  for (const char* line : {"ideal", "decode", "prefill of 4", "prefill of 8"})
    CHECK_THAT(plot, Catch::Contains(line));
}

TEST_CASE("cli: bench says what time adapters add, where there are any", "[cli]") {
  const std::string adapted = scratch_path("bench_adapted.gguf");
  elms_json(
      {"synth", "--shape",
       R"({"d_model":64,"n_layers":2,"n_heads":4,"n_kv_heads":2,"head_dim":32,"d_ff":192,"n_vocab":320})",
       "--type", "q8_0", "--lora-rank", "8", "-o", adapted});
  for (const bool with : {true, false}) {
    const json bench =
        elms_json({"bench", with ? adapted : quantised_model(), "-p", "4", "-n", "4", "--repeat", "1"});
    for (const json& result : bench["results"]) {
      CHECK(result.contains("decode_adapter_added") == with);
      if (with) CHECK(result["decode_adapter_added"].get<double>() > -1.0);
    }
  }
}

TEST_CASE("cli: Ctrl-C ends a bench", "[cli]") {
  if (run_elms({"--version"}, {}, "timeout 60").code != 0) ELMS_SKIP("no `timeout` to send a signal with");
  const Finished stopped =
      run_elms({"bench", random_model(), "-p", "200", "-n", "200", "--repeat", "1000", "-t", "1"}, {},
               "timeout --preserve-status -s INT 4");
  CHECK(stopped.code == 130);
  CHECK(stopped.out.empty());
}

TEST_CASE("cli: bench takes widths, or only the time of a switch", "[cli]") {
  const json bench =
      elms_json({"bench", random_model(), "-p", "4", "-n", "2", "--repeat", "1", "--widths", "0.5,1"});
  REQUIRE(bench["results"].size() == 2);
  CHECK(bench["results"][0]["width"] == 0.5);
  CHECK(bench["results"][0]["cost_share"].get<double>() <= 0.5005);
  CHECK(bench["results"][1]["cost_share"] == 1.0);
  const json only = elms_json({"bench", random_model(), "--switch"});
  CHECK(only["switch_ns"].is_number());
  CHECK_FALSE(only.contains("results"));
}
