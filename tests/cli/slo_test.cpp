// elms eval slo and elms eval quality on the models that ship.
#include <filesystem>

#include "run_elms.hpp"

using elms_test::elms_json;
using elms_test::run_elms;

namespace {

std::string shipped(const std::string& file) {
  return std::string(ELMS_TEST_DATA_DIR) + "/../../examples/models/" + file;
}

}  // namespace

TEST_CASE("elms eval slo replays a trace and reports every class of every strategy", "[cli][slo]") {
  const std::string html = elms_test::scratch_path("slo.html"), plot = elms_test::scratch_path("slo.svg");
  const auto json = elms_json({"eval", "slo", "--model", shipped("elms-mini.gguf"), "--refiner",
                               shipped("elms-refiner.gguf"), "--tasks", shipped("phone_tasks.jsonl"),
                               "--requests", "6", "--keep-ratios", "0.5", "--skew", "-1", "--cpu-time",
                               "--calibrate-seconds", "0.3", "--strategies", "elms,full,paper-rule,oracle",
                               "--html", html, "--plot", plot});
  REQUIRE(json["strategies"].size() == 4);
  CHECK(json["strategies"][0]["name"] == "elms");
  for (const auto& strategy : json["strategies"]) {
    REQUIRE(strategy["per_class"].size() == 6);
    int n = 0;
    for (const auto& one : strategy["per_class"]) {
      n += one["n"].get<int>();
      for (const char* key : {"ttft_target", "tpot_target", "accuracy", "ttft_attained", "tpot_attained",
                              "ttft_p99_over_target", "tpot_p99_over_target"}) {
        CHECK(one[key].is_number());
      }
    }
    CHECK(n == 6);
    CHECK(strategy["accuracy"].is_number());
    CHECK(strategy["attained"].is_number());
  }
  // The oracle knows the answers, so it is right wherever the full model was.
  CHECK(json["answerable"].get<double>() >= json["strategies"][1]["accuracy"].get<double>());
  const auto page = elms_test::read_bytes(html);
  const std::string text(page.begin(), page.end());
  CHECK(text.find("<svg") != std::string::npos);
  CHECK(text.find("paper-rule") != std::string::npos);
  const auto drawn = elms_test::read_bytes(plot);
  CHECK(std::string(drawn.begin(), drawn.end()).find("paper-rule") != std::string::npos);
  CHECK(run_elms({"eval", "slo", "-m", shipped("elms-mini.gguf"), "--tasks", shipped("phone_tasks.jsonl"),
                  "--strategies", "luck"})
            .err.find("luck") != std::string::npos);
}

TEST_CASE("elms eval quality writes what it measured into the model", "[cli][slo]") {
  const std::string output = elms_test::scratch_path("quality.gguf");
  const auto json = elms_json({"eval", "quality", shipped("elms-mini.gguf"), "--refiner",
                               shipped("elms-refiner.gguf"), "--tasks", shipped("phone_tasks.jsonl"),
                               "--keep-ratios", "0.5", "--max-lines", "4", "-o", output});
  REQUIRE(json["keep_ratios"].size() == 2);
  REQUIRE(json["quality"].size() == 2 * json["widths"].size());
  CHECK(json["source"].get<std::string>().find("4 items") != std::string::npos);
  CHECK(std::filesystem::file_size(output) > 7000000);
  CHECK(elms_json({"info", output})["levels"].size() == json["widths"].size());
}
