#include <cmath>
#include <filesystem>
#include <set>

#include "run_elms.hpp"

using namespace elms_test;
using nlohmann::json;

namespace {

void check_levels(const json& levels, std::size_t n_layers) {
  REQUIRE(levels.is_array());
  REQUIRE_FALSE(levels.empty());
  double below = 0.0;
  for (std::size_t i = 0; i < levels.size(); ++i) {
    CHECK(levels[i]["level"] == i);
    CHECK(levels[i]["cost_share"].get<double>() > below);
    below = levels[i]["cost_share"].get<double>();
    CHECK(levels[i]["bytes_per_token"].get<std::uint64_t>() > 0);
    for (const char* units : {"query_heads", "kv_heads", "ffn_units"}) CHECK(levels[i][units].size() == n_layers);
  }
  CHECK(below == 1.0);
}

std::string elastic_random_model() {
  const std::string path = scratch_path("json_elastic.gguf");
  const json report = elms_json({"elasticize", random_model(), "-o", path, "--calib", random_text(), "--calib-tokens", "600",
                                 "--type", "q8_0", "--levels", "0.4,0.7,1.0"});
  CHECK(report["output"] == path);
  CHECK(report["importance"] == "flap");
  CHECK(report["allocation"] == "uniform");
  CHECK(report["calibration_tokens"] == 600);
  CHECK(report["bytes_written"].get<std::uint64_t>() > 10000);
  check_levels(report["levels"], 3);
  return path;
}

}  // namespace

TEST_CASE("cli: info describes the file", "[cli]") {
  const json info = elms_json({"info", random_model(), "--tensors"});
  CHECK(info["model"] == random_model());
  CHECK(info["file_bytes"] == std::filesystem::file_size(random_model()));
  CHECK(info["architecture"] == "llama");
  const json& shape = info["shape"];
  CHECK(shape["d_model"] == 64);
  CHECK(shape["n_layers"] == 3);
  CHECK(shape["n_heads"] == 4);
  CHECK(shape["n_kv_heads"] == 2);
  CHECK(shape["head_dim"] == 16);
  CHECK(shape["d_ff"] == 192);
  CHECK(shape["n_vocab"] == 320);
  CHECK(shape["context_length"] == 256);
  CHECK(shape["tied_head"] == false);
  CHECK(info["tokenizer"]["model"] == "llama");
  CHECK(info["tokenizer"]["eos"] == 2);
  CHECK(info["elastic"]["importance"] == "none");
  check_levels(info["levels"], 3);

  // Parameters, counted from the shape: embedding and head, attention, FFN, norms.
  const std::uint64_t expected = 2 * 320 * 64 + 3 * (2 * 64 * 64 + 2 * 64 * 32 + 3 * 64 * 192 + 2 * 64) + 64;
  CHECK(info["parameters"] == expected);
  CHECK(info["types"]["F32"]["values"] == expected);
  CHECK(info["types"]["F32"]["bytes"] == 4 * expected);
  std::set<std::string> names;
  for (const json& tensor : info["tensors"]) names.insert(tensor["name"].get<std::string>());
  CHECK(names.count("blk.2.ffn_down.weight") == 1);
  CHECK(names.size() == 3 + 3 * 9);
}

TEST_CASE("cli: what elasticize writes is what info reads", "[cli]") {
  const std::string path = elastic_random_model();
  const json info = elms_json({"info", path});
  CHECK(info["elastic"]["importance"] == "flap");
  CHECK(info["elastic"]["ordered_heads"] == 12);
  CHECK(info["elastic"]["ordered_ffn_units"] == 3 * 192);
  CHECK(info["types"].contains("Q8_0"));
  check_levels(info["levels"], 3);
  for (const json& level : info["levels"]) CHECK(level["ffn_units"][0].get<int>() % 32 == 0);
}

TEST_CASE("cli: info shows how much units matter", "[cli]") {
  const std::string path = elastic_random_model(), svg = scratch_path("importance.svg");
  const json info = elms_json({"info", path, "--importance", "--plot", svg});
  CHECK(info["importance"]["method"] == "flap");
  REQUIRE(info["importance"]["layers"].size() == 3);
  for (const json& layer : info["importance"]["layers"]) {
    REQUIRE(layer["heads"].size() == 4);
    REQUIRE(layer["ffn_units"].size() == 192);
    CHECK(layer["ffn_units"][0].get<double>() >= layer["ffn_units"][191].get<double>());
  }
  const auto bytes = read_bytes(svg);
  CHECK(std::string(bytes.begin(), bytes.end()).find("FFN units") != std::string::npos);
}

TEST_CASE("cli: extract says which level became what", "[cli]") {
  const std::string elastic = elastic_random_model(), path = scratch_path("json_extract.gguf");
  const json info = elms_json({"info", elastic});
  const json report = elms_json({"extract", elastic, "--width", "0.7", "-o", path});
  const auto level = report["level"].get<std::size_t>();
  CHECK(report["cost_share"] == info["levels"][level]["cost_share"]);
  CHECK(report["cost_share"].get<double>() <= 0.7005);
  CHECK(report["architecture"] == "llama");
  CHECK(report["bytes"] == std::filesystem::file_size(path));
  const json extracted = elms_json({"info", path});
  CHECK(extracted["elastic"].is_null());
  CHECK(extracted["shape"]["d_ff"] == info["levels"][level]["ffn_units"][0]);
  CHECK(extracted["levels"].size() == 1);
  CHECK(extracted["levels"][0]["bytes_per_token"] == info["levels"][level]["bytes_per_token"]);
}

TEST_CASE("cli: eval ppl measures each width once, and plots", "[cli]") {
  const std::string elastic = elastic_random_model(), svg = scratch_path("ppl.svg");
  const json rows = elms_json({"eval", "ppl", elastic, "--text", random_text(), "--max-tokens", "200", "--window", "64",
                               "--widths", "0.7,0.71,1.0", "--svg", svg});
  REQUIRE(rows.size() == 3);
  for (const json& row : rows) {
    CHECK(row["tokens"] == 200);
    CHECK(row["ppl"].get<double>() == Approx(std::exp(row["nll"].get<double>())));
    CHECK(row["cost_share"].get<double>() <= row["width"].get<double>() + 5e-4);
  }
  CHECK(rows[0]["width"] == 0.7);
  CHECK(rows[0]["level"] == rows[1]["level"]);
  CHECK(rows[0]["nll"] == rows[1]["nll"]);
  CHECK(rows[2]["level"].get<int>() > rows[0]["level"].get<int>());
  const auto bytes = read_bytes(svg);
  const std::string plot(bytes.begin(), bytes.end());
  CHECK_THAT(plot, Catch::StartsWith("<svg "));
  CHECK_THAT(plot, Catch::Contains("perplexity"));

  const json all = elms_json({"eval", "ppl", elastic, "--text", random_text(), "--max-tokens", "100"});
  const json info = elms_json({"info", elastic});
  REQUIRE(all.size() == info["levels"].size());
  for (std::size_t i = 0; i < all.size(); ++i) CHECK(all[i]["level"] == i);
}

TEST_CASE("cli: eval narrowing has every level behind prompts of every level", "[cli]") {
  const std::string elastic = elastic_random_model(), svg = scratch_path("narrowing.svg");
  const json rows = elms_json({"eval", "narrowing", elastic, "--text", random_text(), "--max-tokens", "120", "--window",
                               "40", "--prompt-tokens", "20", "--svg", svg});
  const std::size_t n_levels = elms_json({"info", elastic})["levels"].size();
  REQUIRE(rows.size() == n_levels * n_levels);
  std::set<double> of_narrowest;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    CHECK(rows[i]["prompt_level"] == i / n_levels);
    CHECK(rows[i]["level"] == i % n_levels);
    CHECK(rows[i]["tokens"] == rows[0]["tokens"]);
    CHECK(rows[i]["ppl"].get<double>() == Approx(std::exp(rows[i]["nll"].get<double>())));
    if (i % n_levels == 0) of_narrowest.insert(rows[i]["nll"].get<double>());
  }
  CHECK(of_narrowest.size() == n_levels);  // the prompt's level tells
  const auto bytes = read_bytes(svg);
  CHECK_THAT(std::string(bytes.begin(), bytes.end()), Catch::StartsWith("<svg "));
}

TEST_CASE("cli: without --json the same results are tables", "[cli]") {
  const Finished eval = run_elms({"eval", "ppl", random_model(), "--text", random_text(), "--max-tokens", "50", "-t", "1"});
  CHECK(eval.code == 0);
  CHECK_THAT(eval.out, Catch::StartsWith("width"));
  const Finished info = run_elms({"info", random_model(), "--tensors"});
  CHECK(info.code == 0);
  CHECK_THAT(info.out, Catch::Contains("architecture"));
  CHECK_THAT(info.out, Catch::Contains("blk.2.ffn_down.weight"));
}
