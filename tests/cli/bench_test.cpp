#include "run_elms.hpp"

using namespace elms_test;
using nlohmann::json;

TEST_CASE("cli: bench measures every level beside the machine's limits", "[cli]") {
  const json bench = elms_json({"bench", random_model(), "-p", "32", "-n", "4", "--repeat", "3"});
  for (const char* limit : {"read_gb_s", "int8_gops", "f32_gflops"}) {
    CHECK(bench["limits"][limit].get<double>() > 0.0);
  }
  CHECK(bench["threads"] == 1);
  CHECK(bench["isa"].is_string());
  CHECK(bench["open_ms"].get<double>() > 0.0);
  CHECK(bench["switch_ns"].get<double>() >= 0.0);
  CHECK(bench["packed_bytes"].get<std::uint64_t>() > 0);
  CHECK(bench["peak_rss_bytes"].get<std::uint64_t>() > bench["packed_bytes"].get<std::uint64_t>());
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

TEST_CASE("cli: bench takes widths, or only the time of a switch", "[cli]") {
  const json bench = elms_json({"bench", random_model(), "-p", "4", "-n", "2", "--repeat", "1", "--widths", "0.5,1"});
  REQUIRE(bench["results"].size() == 2);
  CHECK(bench["results"][0]["width"] == 0.5);
  CHECK(bench["results"][0]["cost_share"].get<double>() <= 0.5005);
  CHECK(bench["results"][1]["cost_share"] == 1.0);
  const json only = elms_json({"bench", random_model(), "--switch"});
  CHECK(only["switch_ns"].is_number());
  CHECK_FALSE(only.contains("results"));
}
